// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package app puts the product together and owns every loop of it: the private
// database, the sequencer, the pump from the feed to the hub, the writers, the
// maintenance and the listeners. What starts here is stopped here, in reverse.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/tiles/base"
)

// Options are all settings of a server. The command line fills them from flags,
// ONEMAP_... variables and a file; zero fields take the defaults named here.
type Options struct {
	Listen       string // pages and API; "127.0.0.1:8080"
	DeviceListen string // phones and trackers; "127.0.0.1:5055"
	AdminListen  string // metrics; "127.0.0.1:9090"
	Data         string // data folder; DefaultData()
	DatabaseURL  string // an external database; "" starts a private one in Data
	Demo         bool   // load the made-up banner when the database is empty
	DemoSeed     uint64 // of the banner; 1
	DemoField    bool   // with Demo: let a pretend field walk and report
	DemoPast     int    // past incidents of the banner; 300,000

	TLSCert, TLSKey string        // files of the main listener's certificate; the data folder's own (tls init) when empty
	TrustedProxies  []string      // networks whose X-Forwarded-For is believed; none when empty
	MediaGateway    string        // address of a camera's pictures with {gb_code} and {protocol}; "" for no gateway
	MediaKeyFile    string        // the key that links to it are signed with
	MediaTTL        time.Duration // how long a link is good for; one minute
	Limits          api.Limits    // of what callers may ask for
	NotifyURL       string        // where word of offers is posted, for SMS, voice or 政务微信; "" writes it to a file of the data folder
	NotifyHosts     []string      // the hosts that it may be posted to; none but those
	NotifyKeyFile   string        // the key that what is posted is signed with

	Base base.Settings // the map beneath the layers; none when empty

	Version string
	Log     *slog.Logger
	Out     io.Writer // what a person at the terminal reads: links, progress
	Now     func() time.Time

	// databaseNow takes the place of the database's clock where a test moves Now by hand.
	databaseNow func(context.Context, *pgx.Conn) (time.Time, error)
}

func (o *Options) setDefaults() {
	orElse(&o.Listen, "127.0.0.1:8080")
	orElse(&o.DeviceListen, "127.0.0.1:5055")
	orElse(&o.AdminListen, "127.0.0.1:9090")
	if o.Data == "" {
		o.Data = DefaultData()
	}
	if o.DemoSeed == 0 {
		o.DemoSeed = 1
	}
	if o.DemoPast == 0 {
		o.DemoPast = 300_000
	}
	orElse(&o.Version, "dev")
	if o.MediaTTL == 0 {
		o.MediaTTL = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func orElse(s *string, v string) {
	if *s == "" {
		*s = v
	}
}

// DefaultData is where data lies when nobody says otherwise: the system's state
// folder for root (whose home no database server can enter), else the user's own
// data folder.
func DefaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/onemap"
	}
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "onemap")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "onemap-data"
	}
	return filepath.Join(home, ".local", "share", "onemap")
}

// LogValue shows the settings without secrets.
func (o Options) LogValue() slog.Value {
	db := "private"
	if o.DatabaseURL != "" {
		db = redact(o.DatabaseURL)
	}
	return slog.GroupValue(
		slog.String("listen", o.Listen), slog.String("device_listen", o.DeviceListen), slog.String("admin_listen", o.AdminListen),
		slog.String("data", o.Data), slog.String("database", db), slog.Bool("demo", o.Demo), slog.Uint64("demo_seed", o.DemoSeed),
		slog.Bool("demo_field", o.DemoField), slog.Bool("media_gateway", o.MediaGateway != ""), slog.Bool("notify", o.NotifyURL != ""),
	)
}

// redact keeps host and database of a URL, not who signs in nor with what.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return "external"
	}
	return fmt.Sprintf("%s://%s%s", u.Scheme, u.Host, u.Path)
}
