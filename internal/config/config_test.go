// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"onemap/internal/config"
)

type cli struct {
	Config kong.ConfigFlag
	Serve  struct {
		Listen string `env:"TEST_ONEMAP_LISTEN" default:"a"`
		Demo   bool
		Past   int `default:"5"`
	} `cmd:""`
}

func parse(t *testing.T, file string, args ...string) (cli, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var c cli
	p, err := kong.New(&c, kong.Configuration(config.File))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse(append([]string{"serve", "--config", path}, args...))
	return c, err
}

func TestAFlagWinsOverAVariableWhichWinsOverTheFile(t *testing.T) {
	file := `{"listen":"file","demo":true,"past":7}`
	c, err := parse(t, file)
	if err != nil || c.Serve.Listen != "file" || !c.Serve.Demo || c.Serve.Past != 7 {
		t.Fatalf("%+v, %v", c.Serve, err)
	}
	t.Setenv("TEST_ONEMAP_LISTEN", "variable")
	if c, err = parse(t, file); err != nil || c.Serve.Listen != "variable" {
		t.Errorf("%+v, %v", c.Serve, err)
	}
	if c, err = parse(t, file, "--listen", "flag"); err != nil || c.Serve.Listen != "flag" {
		t.Errorf("%+v, %v", c.Serve, err)
	}
}

func TestWhatIsNoSettingIsRefused(t *testing.T) {
	for file, says := range map[string]string{
		`{"listn":"x"}`:   "listn",
		`["listen"]`:      "JSON object",
		`{"past":"many"}`: "past",
		``:                "JSON object",
	} {
		if _, err := parse(t, file); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
