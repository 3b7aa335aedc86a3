// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Tool finds a client program of PostgreSQL, such as pg_dump, for a server of
// version major: the nearest one that is not older, else whatever PATH has. The
// database server need not be installed.
func Tool(name string, major int) (string, error) {
	best, version := "", 0
	for _, l := range layouts {
		paths, err := filepath.Glob(filepath.Join("/", l.bin, name))
		if err != nil {
			continue
		}
		for _, path := range paths {
			v, err := strconv.Atoi(digits.FindString(filepath.Base(filepath.Dir(filepath.Dir(path)))))
			if st, serr := os.Stat(path); err != nil || serr != nil || st.IsDir() || v < major {
				continue
			}
			if best == "" || v < version {
				best, version = path, v
			}
		}
	}
	if best != "" {
		return best, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s of PostgreSQL %d or newer is not installed: on Debian, apt-get install postgresql-client", name, major)
	}
	return path, nil
}

// AsSuperuser is the URL of a private cluster for its superuser, whom no row level
// security holds back: for a dump of everything.
func AsSuperuser(private string) (string, error) {
	u, err := url.Parse(private)
	if err != nil {
		return "", fmt.Errorf("localpg: %w", err)
	}
	u.User = url.User(superuser)
	return u.String(), nil
}
