// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

// keep holds tiles on the disk, up to so many bytes; those that were not asked for
// longest go first. A file is written beside its place and moved there, and says
// what it holds by its sum, so that a torn one is none.
type keep struct {
	dir   string
	limit int64
	now   func() time.Time

	mu    sync.Mutex // guards the rest
	files map[string]*list.Element
	order *list.List // the newest in front
	bytes int64
}

type kept struct {
	name string
	size int64
}

const (
	keepHead = sha256.Size + 8 + 1
	freshFor = 30 * 24 * time.Hour
	keptSome = ".tile"

	diskBlock = 4 << 10 // a file takes so much or more, however little is in it
)

// keptTypes are the types that are kept, by their number in a file; the first is of
// a tile that there is not.
var keptTypes = []string{"", "image/png", "image/jpeg", "image/webp"}

// openKeep opens the store of one base map and drops those of others.
func openKeep(dir, tag string, limit int64, now func() time.Time) (*keep, error) {
	k := &keep{dir: filepath.Join(dir, tag), limit: limit, now: now, files: map[string]*list.Element{}, order: list.New()}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, err
	}
	siblings, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range siblings {
		if len(e.Name()) == len(tag) && e.Name() != tag && e.IsDir() {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	type found struct {
		kept
		at time.Time
	}
	var all []found
	err = filepath.WalkDir(k.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !strings.HasSuffix(path, keptSome) {
			return os.Remove(path) // half written
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(k.dir, strings.TrimSuffix(path, keptSome))
		all = append(all, found{kept{name, st.Size()}, st.ModTime()})
		return err
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(all, func(i, j int) bool { return all[i].at.Before(all[j].at) })
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range all {
		k.note(f.name, f.size)
	}
	return k, nil
}

func nameOf(set string, z, x, y int) string { return fmt.Sprintf("%s/%d/%d/%d", set, z, x, y) }

// get answers a kept tile: ok says that there is one (of no bytes: there is no such
// tile), fresh that it need not be asked for again yet.
func (k *keep) get(name string) (p piece, fresh, ok bool) {
	k.mu.Lock()
	e, there := k.files[name]
	if there {
		k.order.MoveToFront(e)
	}
	k.mu.Unlock()
	if !there {
		return p, false, false
	}
	b, err := os.ReadFile(k.path(name))
	if err != nil || len(b) < keepHead || [sha256.Size]byte(b[:sha256.Size]) != sha256.Sum256(b[sha256.Size:]) || int(b[keepHead-1]) >= len(keptTypes) {
		k.mu.Lock()
		k.drop(name)
		k.mu.Unlock()
		return p, false, false
	}
	at := time.Unix(int64(binary.LittleEndian.Uint64(b[sha256.Size:])), 0)
	age := k.now().Sub(at)
	p = piece{data: b[keepHead:], mime: keptTypes[b[keepHead-1]], at: at}
	limit := freshFor
	if len(p.data) == 0 {
		limit = 24 * time.Hour
	}
	return p, age < limit && age > -time.Hour, true
}

// put keeps a tile. A disk that is full is no reason not to show it: what could not
// be written is asked for again.
func (k *keep) put(name string, p piece) error {
	kind := -1
	for i, t := range keptTypes {
		if t == p.mime {
			kind = i
		}
	}
	if kind < 0 {
		return fmt.Errorf("base: %.40q is not kept", p.mime)
	}
	b := make([]byte, keepHead, keepHead+len(p.data))
	if p.at.IsZero() {
		p.at = k.now()
	}
	binary.LittleEndian.PutUint64(b[sha256.Size:], uint64(p.at.Unix()))
	b[keepHead-1] = byte(kind)
	b = append(b, p.data...)
	sum := sha256.Sum256(b[sha256.Size:])
	copy(b, sum[:])
	if int64(len(b)) > k.limit/4 {
		return nil
	}
	path := k.path(name)
	f, err := k.create(filepath.Dir(path))
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	k.note(name, int64(len(b)))
	return nil
}

// create begins a file in a folder, which is not dropped from now on.
func (k *keep) create(dir string) (*os.File, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.CreateTemp(dir, "new-*")
}

func (k *keep) path(name string) string {
	return filepath.Join(k.dir, filepath.FromSlash(name)+keptSome)
}

// note takes a file into the count, by the blocks of the disk that it fills, and drops
// the oldest beyond the limit.
func (k *keep) note(name string, size int64) {
	size = (size + diskBlock - 1) / diskBlock * diskBlock
	if e, there := k.files[name]; there {
		k.bytes -= e.Value.(kept).size
		k.order.Remove(e)
	}
	k.files[name] = k.order.PushFront(kept{name, size})
	k.bytes += size
	for k.bytes > k.limit && k.order.Len() > 1 {
		k.drop(k.order.Back().Value.(kept).name)
	}
}

func (k *keep) drop(name string) {
	e, there := k.files[name]
	if !there {
		return
	}
	os.Remove(k.path(name))
	os.Remove(filepath.Dir(k.path(name))) // if it was the last there
	k.bytes -= e.Value.(kept).size
	k.order.Remove(e)
	delete(k.files, name)
}
