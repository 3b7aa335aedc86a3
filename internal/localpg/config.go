// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ourSettings suit a county's own machine: some gigabytes of memory shared with
// our server, a solid-state disk, imports of hundreds of thousands of rows.
var ourSettings = map[string]string{
	"max_connections": "100",
	"shared_buffers":  "256MB", "effective_cache_size": "1GB",
	"work_mem": "16MB", "maintenance_work_mem": "128MB",
	// Parallel queries find their memory here even where /dev/shm is tiny.
	"min_dynamic_shared_memory": "32MB",
	// Few, slow checkpoints: a bulk load should not wait for them.
	"max_wal_size": "2GB", "min_wal_size": "256MB", "wal_buffers": "16MB",
	"checkpoint_timeout": "15min", "checkpoint_completion_target": "0.9",
	"random_page_cost": "1.1", "effective_io_concurrency": "100", "jit": "off",
	"autovacuum_vacuum_scale_factor": "0.05", "autovacuum_analyze_scale_factor": "0.05",
	"autovacuum_vacuum_insert_scale_factor": "0.1",
	"timezone":                              "UTC", "log_timezone": "UTC", "lc_messages": "C", "datestyle": "iso, ymd",
	// A query whose client is gone must not keep a processor, nor the shared
	// memory that the next start waits for.
	"client_connection_check_interval":    "2s",
	"statement_timeout":                   "15min",
	"idle_in_transaction_session_timeout": "5min",
	"logging_collector":                   "off", "log_destination": "stderr",
	"log_line_prefix": "%m [%p] %q%u@%d %a ", "log_checkpoints": "on",
	"log_lock_waits": "on", "log_autovacuum_min_duration": "10s", "log_min_duration_statement": "5s",
}

// unsafeSettings are for tests: a crash of the machine may cost everything.
var unsafeSettings = map[string]string{
	"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
	"max_connections": "300", "shared_buffers": "64MB", "min_dynamic_shared_memory": "0",
	"wal_level": "minimal", "max_wal_senders": "0", "log_checkpoints": "off",
	// Segments of a deleted cluster would stay in /dev/shm for ever.
	"dynamic_shared_memory_type": "mmap",
}

// postgisLibrary is what a connection loads when it first meets a geometry, which
// takes some forty milliseconds. An unsafe cluster loads it once for all: tests
// open connections by the thousand.
const postgisLibrary = "postgis-3"

var settingName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

func checkSettings(s map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !settingName.MatchString(name) {
			return fmt.Errorf("setting %q: %w name", name, fs.ErrInvalid)
		}
		if strings.ContainsAny(s[name], "\n\r\x00") {
			return fmt.Errorf("setting %s: %w value %q", name, fs.ErrInvalid, s[name])
		}
	}
	return nil
}

// writeConfig writes PostgreSQL's files anew at every start, so that they are
// ours and whole whatever happened to them.
func (c *cluster) writeConfig() error {
	all := maps.Clone(ourSettings)
	if c.opts.Unsafe {
		maps.Copy(all, unsafeSettings)
		if _, err := os.Stat(c.bins.library(postgisLibrary)); err == nil {
			all["shared_preload_libraries"] = postgisLibrary
		}
	}
	maps.Copy(all, c.opts.Settings)
	var conf strings.Builder
	conf.WriteString("# Written by OneMap at every start. Your own settings belong in local.conf here.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(strings.ReplaceAll(all[name], `\`, `\\`), "'", "''"))
	}
	conf.WriteString("include 'local.conf'\n")
	local := filepath.Join(c.data, "local.conf")
	if _, err := os.Lstat(local); errors.Is(err, fs.ErrNotExist) {
		if err := c.replaceFile(local, "# Settings of your own; they win over postgresql.conf and stay.\n"); err != nil {
			return fmt.Errorf("write PostgreSQL's settings: %w", err)
		}
	}

	users := []string{"root", "postgres"}
	if !slices.Contains(users, c.acct.name) {
		users = append(users, c.acct.name)
	}
	var ident strings.Builder
	ident.WriteString("# Written by OneMap at every start.\n")
	for _, u := range users {
		for _, role := range []string{Role, AppRole, TilesRole, AuditorRole, superuser} {
			fmt.Fprintf(&ident, "onemap \"%s\" %s\n", u, role)
		}
	}
	const hba = "# Written by OneMap at every start: the socket only, by the system's user name.\n" +
		"local all all peer map=onemap\nlocal replication " + superuser + " peer map=onemap\n"

	for name, text := range map[string]string{
		"postgresql.conf": conf.String(), "pg_ident.conf": ident.String(), "pg_hba.conf": hba,
	} {
		if err := c.replaceFile(filepath.Join(c.data, name), text); err != nil {
			return fmt.Errorf("write PostgreSQL's settings: %w", err)
		}
	}
	return nil
}

func (c *cluster) replaceFile(path, text string) error {
	aside := path + ".new"
	if err := os.WriteFile(aside, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Lchown(aside, c.acct.uid, c.acct.gid); err != nil {
		return err
	}
	return os.Rename(aside, path)
}
