// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
)

// key names a tile as one scope sees it in one state of the data.
type key struct {
	layer      string
	tile       tile
	scope      string
	generation uint64 // or set: numbers are used once
}

// ready is a tile to be sent as it is: gzip. No body means nothing to show.
type ready struct {
	body []byte
	etag string
}

const entryCost = 400 // bytes an entry takes beside its body and the words of its key

// cache keeps ready tiles up to a number of bytes, the least recently used going
// first. Whoever asks for a tile that is being drawn waits for it.
type cache struct {
	limit int

	mu    sync.Mutex // guards what follows
	bytes int
	byKey map[key]*list.Element // of *kept
	order *list.List            // most recently used first
	under map[key]*work
}

type kept struct {
	key   key
	ready ready
}

func (k *kept) cost() int { return entryCost + len(k.key.layer) + len(k.key.scope) + len(k.ready.body) }

type work struct {
	done  chan struct{}
	ready ready
	err   error
}

var errDrawing = errors.New("tiles: drawing failed")

func newCache(limit int) *cache {
	return &cache{limit: limit, byKey: map[key]*list.Element{}, order: list.New(), under: map[key]*work{}}
}

// get returns the tile named k, drawing it when nobody has.
func (c *cache) get(ctx context.Context, k key, draw func() (ready, error)) (ready, error) {
	if err := ctx.Err(); err != nil {
		return ready{}, err
	}
	c.mu.Lock()
	if e, ok := c.byKey[k]; ok {
		c.order.MoveToFront(e)
		r := e.Value.(*kept).ready
		c.mu.Unlock()
		return r, nil
	}
	if w, ok := c.under[k]; ok {
		c.mu.Unlock()
		select {
		case <-w.done:
			return w.ready, w.err
		case <-ctx.Done():
			return ready{}, ctx.Err()
		}
	}
	w := &work{done: make(chan struct{}), err: errDrawing}
	c.under[k] = w
	c.mu.Unlock()
	defer c.finish(k, w) // also when drawing panics: nobody waits for ever
	w.ready, w.err = draw()
	return w.ready, w.err
}

func (c *cache) finish(k key, w *work) {
	close(w.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.under, k)
	if w.err != nil {
		return
	}
	e := &kept{k, w.ready}
	c.byKey[k] = c.order.PushFront(e)
	c.bytes += e.cost()
	for c.bytes > c.limit {
		old := c.order.Remove(c.order.Back()).(*kept)
		delete(c.byKey, old.key)
		c.bytes -= old.cost()
	}
}

// packer compresses tiles. Its writers rest in it between two tiles: a sync.Pool would
// lose them with each garbage collection, and a new one takes most of a megabyte.
type packer struct {
	level int
	idle  chan *gzip.Writer
}

var (
	// small: grids change seldom and a tile is packed once, but a first look at a new
	// scope waits for it.
	small = packer{6, make(chan *gzip.Writer, 4)}
	// quick: incidents change all the time.
	quick = packer{gzip.BestSpeed, make(chan *gzip.Writer, 4)}
)

func (p packer) writer() *gzip.Writer {
	select {
	case w := <-p.idle:
		return w
	default:
		w, _ := gzip.NewWriterLevel(nil, p.level) // the level is valid
		return w
	}
}

func (p packer) layAway(w *gzip.Writer) {
	select {
	case p.idle <- w:
	default:
	}
}

// pack compresses a tile and names its content.
func (p packer) pack(raw []byte) (ready, error) {
	var buf bytes.Buffer
	w := p.writer()
	defer p.layAway(w)
	w.Reset(&buf)
	if _, err := w.Write(raw); err != nil {
		return ready{}, err
	}
	if err := w.Close(); err != nil {
		return ready{}, err
	}
	sum := sha256.Sum256(raw)
	return ready{body: buf.Bytes(), etag: `"` + hex.EncodeToString(sum[:10]) + `"`}, nil
}
