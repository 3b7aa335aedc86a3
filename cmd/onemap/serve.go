// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"onemap/api"
	"onemap/internal/app"
)

type serveCmd struct {
	place
	baseFlags
	Listen       string         `help:"Pages and API." default:"127.0.0.1:8080" env:"ONEMAP_LISTEN"`
	DeviceListen string         `help:"Phones and trackers (OsmAnd, Traccar Client)." default:"127.0.0.1:5055" env:"ONEMAP_DEVICE_LISTEN"`
	AdminListen  string         `help:"Metrics and profiles; 'off' for none." default:"127.0.0.1:9090" env:"ONEMAP_ADMIN_LISTEN"`
	TLSCert      string         `help:"Certificate file of the main listener; without one the data folder's own is used (onemap tls init), if there is one." name:"tls-cert" env:"ONEMAP_TLS_CERT" type:"existingfile" placeholder:"FILE"`
	TLSKey       string         `help:"Key file of --tls-cert." name:"tls-key" env:"ONEMAP_TLS_KEY" type:"existingfile" placeholder:"FILE"`
	Proxies      []string       `help:"Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed; none when left out." name:"trusted-proxies" env:"ONEMAP_TRUSTED_PROXIES" placeholder:"CIDR"`
	MediaGateway string         `help:"Address of a camera's pictures at a media gateway, with {gb_code} and {protocol} (hls, flv or webrtc) in it, see docs/LAYERS.md; no camera is opened when left out." name:"media-gateway" env:"ONEMAP_MEDIA_GATEWAY" placeholder:"URL"`
	MediaKeyFile string         `help:"File of the key that links to the media gateway are signed with, 32 bytes or more." name:"media-key-file" env:"ONEMAP_MEDIA_KEY_FILE" type:"existingfile" placeholder:"FILE"`
	MediaTTL     time.Duration  `help:"How long a link to a camera is good for." name:"media-ttl" default:"60s" env:"ONEMAP_MEDIA_TTL"`
	NotifyURL    string         `help:"Where word of offers is posted, for a gateway to SMS, voice or 政务微信, see docs/DISPATCH.md; without one it is written to notifications.ndjson in the data folder." name:"notify-url" env:"ONEMAP_NOTIFY_URL" placeholder:"URL"`
	NotifyHosts  []string       `help:"The hosts that --notify-url may name." name:"notify-hosts" env:"ONEMAP_NOTIFY_HOSTS" placeholder:"HOST"`
	NotifyKey    string         `help:"File of the key that what is posted is signed with, 32 bytes or more." name:"notify-key-file" env:"ONEMAP_NOTIFY_KEY_FILE" type:"existingfile" placeholder:"FILE"`
	Limits       map[string]int `help:"Limits other than the defaults of docs/SECURITY.md, as name=number;name=number." name:"limits" env:"ONEMAP_LIMITS" placeholder:"NAME=NUMBER"`
	Demo         bool           `help:"Load the made-up banner when the database is empty, and let a pretend field move in it." env:"ONEMAP_DEMO"`
	DemoSeed     uint64         `help:"Seed of the made-up banner." default:"1" env:"ONEMAP_DEMO_SEED"`
	DemoPast     int            `help:"Past incidents of the made-up banner." default:"300000" env:"ONEMAP_DEMO_PAST"`
	DemoField    bool           `help:"With --demo: workers walk and report." default:"true" negatable:"" env:"ONEMAP_DEMO_FIELD"`
	LogLevel     string         `help:"How much to log." default:"info" enum:"debug,info,warn,error" env:"ONEMAP_LOG_LEVEL"`
	LogFormat    string         `help:"text or json." default:"text" enum:"text,json" env:"ONEMAP_LOG_FORMAT"`
}

func (c *serveCmd) Run(ctx context.Context, say messages) error {
	limits, err := api.LimitsOf(c.Limits)
	if err != nil {
		return err
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// A report must not stand in line behind passwords and tiles inside this process:
		// with more threads than processors the system's own scheduler shares the time
		// between them, and favours those that were waiting.
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
	s, err := app.Start(ctx, app.Options{
		Listen: c.Listen, DeviceListen: c.DeviceListen, AdminListen: c.AdminListen, Data: c.dir(), DatabaseURL: c.DatabaseURL,
		Demo: c.Demo, DemoSeed: c.DemoSeed, DemoPast: c.DemoPast, DemoField: c.DemoField, TLSCert: c.TLSCert, TLSKey: c.TLSKey, TrustedProxies: c.Proxies,
		MediaGateway: c.MediaGateway, MediaKeyFile: c.MediaKeyFile, MediaTTL: c.MediaTTL, NotifyURL: c.NotifyURL, NotifyHosts: c.NotifyHosts, NotifyKeyFile: c.NotifyKey, Limits: limits, Base: c.settings(), Version: version, Log: c.log(), Out: say,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(say, "一图 OneMap: %s  （设备 %s）\n", s.URL(), s.DeviceURL())
	select {
	case <-ctx.Done():
	case err = <-s.Failed():
	}
	if serr := s.Stop(context.WithoutCancel(ctx)); err == nil {
		err = serr
	}
	return err
}

func (c *serveCmd) log() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(strings.ToUpper(c.LogLevel))) // held by the flag's enum
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}
