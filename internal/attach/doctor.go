// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"onemap/store"
)

// ledgerOfFiles is the folder held against the rows.
type ledgerOfFiles struct {
	files   int              // whole files in the folder
	missing []store.FileHash // named by a row and not there
	orphans []store.FileHash // there for KeepOrphan, and named by no row
}

// compare looks at every file and every row.
func compare(ctx context.Context, db *store.DB, dir string, now time.Time) (l ledgerOfFiles, err error) {
	there, err := wholeFiles(dir) // first: what is attached meanwhile is no orphan
	if err != nil {
		return l, err
	}
	needed, err := db.FilesOfAttachments(ctx, now.Add(-KeepOrphan))
	if err != nil {
		return l, err
	}
	l.files = len(there)
	for h, at := range there {
		if !needed[h] && now.Sub(at) >= KeepOrphan {
			l.orphans = append(l.orphans, h)
		}
	}
	for h := range needed {
		if _, ok := there[h]; ok {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, h.String()[:2], h.String())); err != nil { // or it came since
			l.missing = append(l.missing, h)
		}
	}
	byName := func(a, b store.FileHash) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(l.orphans, byName)
	slices.SortFunc(l.missing, byName)
	return l, nil
}

// wholeFiles lists the files that lie by their hash, with their age.
func wholeFiles(dir string) (map[store.FileHash]time.Time, error) {
	out := map[store.FileHash]time.Time{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone meanwhile, or never made
		case err != nil:
			return err
		case e.IsDir() && e.Name() == partial:
			return fs.SkipDir
		}
		raw, err := hex.DecodeString(e.Name())
		if err != nil || len(raw) != len(store.FileHash{}) || !e.Type().IsRegular() {
			return nil
		}
		if st, err := e.Info(); err == nil {
			out[store.FileHash(raw)] = st.ModTime()
		}
		return nil
	})
	return out, err
}

// Examine says for onemap doctor how the folder of a data folder stands against the
// rows. It changes nothing.
func Examine(ctx context.Context, db *store.DB, data string, now time.Time) []store.Finding {
	l, err := compare(ctx, db, filepath.Join(data, Folder), now)
	if err != nil {
		return []store.Finding{{Level: store.Fault, What: "attachments: " + err.Error(), Do: "run this as the server's user"}}
	}
	what := fmt.Sprintf("attachments: %d files", l.files)
	switch {
	case len(l.missing) > 0:
		what += fmt.Sprintf(", %d that rows name are missing, the first %s", len(l.missing), l.missing[0])
		return []store.Finding{{Level: store.Fault, What: what, Do: "put them back from a backup of the data folder; every file lies under the first two digits of its name"}}
	case len(l.orphans) > 0:
		what += fmt.Sprintf(", %d belong to no row", len(l.orphans))
		return []store.Finding{{Level: store.Warning, What: what, Do: "a running server removes them within the hour; if they stay, its log says why"}}
	}
	return []store.Finding{{Level: store.Good, What: what}}
}
