// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"onemap/internal/app"
	"onemap/internal/pgtest"
	"onemap/store"
)

func TestALoneAdministratorMakesAccounts(t *testing.T) {
	url := pgtest.URL(t)
	want := func(code int, says string, args ...string) string {
		t.Helper()
		got, out, said := command(t, url, args...)
		wantCommand(t, code, says, got, out, said)
		return out + said
	}
	want(1, "small letters", "user", "add", "--login", "Boss", "--role", "security_admin")
	want(1, "no account", "user", "add", "--login", "boss", "--role", "wall")
	want(1, "badge", "user", "add", "--login", "boss", "--role", "grid_worker")
	want(1, "no grid", "user", "add", "--login", "boss", "--role", "dispatcher", "--grid", "nowhere")
	secret := want(0, "/admin#first", "user", "secret")
	again := want(0, "earlier secrets are void", "user", "secret")
	if secret == again {
		t.Error("the same secret twice")
	}
	want(0, "https://hall.example/admin#invite=", "user", "add", "--login", "boss", "--role", "security_admin", "--url", "https://hall.example/")
	want(1, "taken", "user", "add", "--login", "boss", "--role", "security_admin")
	want(0, "waits for a system administrator", "user", "add", "--login", "leader", "--role", "county_leader")
	want(1, "can sign in", "user", "secret")
	list := want(0, "security_admin", "user", "list")
	if !strings.Contains(list, "county_leader (all): needs [system_admin]") {
		t.Errorf("the list says\n%s", list)
	}
	want(0, "#invite=", "user", "invite", "boss")
	want(0, "", "user", "disable", "BOSS")
	want(1, "user list", "user", "disable", "nobody")
	want(0, "disabled", "user", "list")
	want(0, "/admin#first", "user", "secret")

	code, token, said := command(t, url, "token", "create", "--role", "hall_operator", "--note", "report door")
	if token = strings.TrimSpace(token); code != 0 || strings.ContainsAny(token, " \n") || !strings.Contains(said, "good until") {
		t.Errorf("token create: %d, %q, %q", code, token, said)
	}
	list = want(0, "report door", "token", "list")
	if strings.Contains(list, token) {
		t.Error("the list tells the token")
	}
	want(1, "department", "token", "create", "--role", "dept_handler")
	id, _, _ := strings.Cut(strings.Split(list, "\n")[1], " ")
	want(0, "", "token", "revoke", id)
	want(1, "none in use", "token", "revoke", id)
	want(1, "import a roster first", "token", "workers")
	want(0, "http://127.0.0.1:8080/wall#code=", "wall", "link", "--layers", "grids,roads", "--address", "10.1.0.0/16,10.2.0.9")
	list = want(0, "wall-1  link", "wall", "list")
	id, _, _ = strings.Cut(strings.Split(list, "\n")[1], " ")
	want(1, "none in use", "token", "revoke", id)
	want(0, "", "wall", "revoke", id)
	want(1, "none in use", "wall", "revoke", id)
	if list = want(0, "wall", "wall", "list"); strings.Contains(list, "wall-1") {
		t.Errorf("a wall that was ended is listed\n%s", list)
	}
	want(1, "network", "wall", "link", "--address", "10.1.0.0/99")
	want(1, "layers", "wall", "link", "--layers", "secrets")
}

func TestLinksBeginWithTheServersOwnAddress(t *testing.T) {
	url := pgtest.URL(t)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.SaveSetting(t.Context(), app.URLSetting, "https://10.1.2.3:8443"); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{"https://10.1.2.3:8443/wall#code=", "wall", "link"},
		{"https://hall/wall#code=", "wall", "link", "--url", "https://hall"},
		{"https://10.1.2.3:8443/admin#first", "user", "secret"},
		{"https://10.1.2.3:8443/admin#invite=", "user", "add", "--login", "boss", "--role", "security_admin"},
		{"https://10.1.2.3:8443/admin#invite=", "user", "invite", "boss"},
	} {
		code, out, said := command(t, url, c[1:]...)
		wantCommand(t, 0, c[0], code, out, said)
	}
}
