// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

// URLSetting is the setting in which a server keeps its own address, for the links
// that commands print.
const URLSetting = "server_url"

// firstStart prints what the first people need to get in: a one-time secret for
// the first administrator, to be taken up on the administration page, and a
// wall's one-time link. A demo prints a link at every start, so that whoever
// types the command sees the wall.
func (s *Server) firstStart(ctx context.Context) error {
	if err := s.db.SaveSetting(ctx, URLSetting, s.URL()); err != nil {
		return err
	}
	has, err := s.db.HasFirstSecret(ctx)
	if err != nil {
		return err
	}
	actor := auth.SystemActor("first start")
	if !has {
		secret := store.NewSecret()
		err := s.db.InTx(ctx, func(tx pgx.Tx) error {
			c := store.Credential{Kind: store.FirstSecret, Role: auth.SecurityAdmin, CreatedBy: actor.ID, CreatedAt: s.o.Now()}
			if _, err := s.db.SaveCredential(ctx, tx, secret, c); err != nil {
				return err
			}
			return ledger.Audit(ctx, tx, actor, "", "secret.first", "", "", nil)
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(s.o.Out, "\n首次启动 · 安全管理员首次密钥（只显示这一次，请妥善保存）\nFirst start: one-time secret of the security administrator, shown only now:\n    %s\n"+
			"在此使用 · Use it here:\n    %s/admin#first\n", secret, s.URL())
	}
	if has && !s.o.Demo {
		return nil
	}
	link, until, err := api.MakeWallLink(ctx, s.db, actor, s.URL(), api.NewWall{Name: "wall-1"}, s.o.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(s.o.Out, "\n大屏链接（%s 前打开一次有效）· Wall link, good once:\n    %s\n\n", until.Local().Format("15:04"), link)
	return nil
}
