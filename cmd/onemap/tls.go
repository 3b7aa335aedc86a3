// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"onemap/internal/tlsca"
)

type tlsCmd struct {
	Init tlsInitCmd `cmd:"" help:"Make a local CA and the server's certificate; run again to renew it."`
}

type tlsInitCmd struct {
	Data string   `help:"Data folder (default: ${data})." env:"ONEMAP_DATA" placeholder:"DIR"`
	Host []string `help:"Name or IP address by which browsers reach this server; may be repeated. Left out: those of the certificate before." placeholder:"NAME"`
}

func (c *tlsInitCmd) Run(out io.Writer) error {
	dir := place{Data: c.Data}.dir()
	made, err := tlsca.Init(filepath.Join(dir, "tls"), c.Host, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "服务器证书 · server certificate: %s (until %s)\n根证书 · CA: %s\n",
		strings.Join(made.Hosts, ", "), made.Until.Format(time.DateOnly), made.CA)
	if made.Last {
		fmt.Fprintf(out, "根证书同日到期，之后不能再续 · the CA ends then too, and no certificate comes after this one: %s\n", tlsca.NewCA)
	}
	if made.NewCA {
		fmt.Fprint(out, takeIn)
	}
	return nil
}

// takeIn says how a device comes to trust the CA.
const takeIn = `
每台手机、电脑装一次根证书 ca.crt（只发这个文件；ca.key 不得离开本机）：
  Windows  双击 ca.crt → 安装证书 → 本地计算机 → 受信任的根证书颁发机构
  Android  设置 → 安全 → 加密与凭据 → 安装证书 → CA 证书
  鸿蒙     设置 → 隐私和安全 → 高级 → 证书与凭据 → 从存储设备安装
  iPhone   打开 ca.crt → 设置 → 已下载描述文件 → 安装；再到 通用 → 关于本机 → 证书信任设置 里打开

Every phone and PC takes in ca.crt once (hand out this file alone; ca.key stays here):
  Windows  double-click ca.crt, Install Certificate, Local Machine, Trusted Root Certification Authorities
  Android  Settings, Security, Encryption & credentials, Install a certificate, CA certificate
  iPhone   open ca.crt, Settings, Profile Downloaded, Install; then General, About, Certificate Trust Settings

The running server takes up a renewed certificate by itself; after the first, start it again.
`
