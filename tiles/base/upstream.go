// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	fetchTime  = 8 * time.Second // one tile, from the question to the last byte
	waitTime   = 2 * time.Second // how long somebody waits for it
	fetching   = 8               // tiles at a time
	queueing   = 512             // that wait for it, fetchTime each at most
	failsToo   = 3               // failures in a row after which it's away
	tryAgain   = 15 * time.Second
	tianditu   = "https://t0.tianditu.gov.cn"
	maxHops    = 3
	maxFetched = 2 << 20
)

var (
	// errBusy says that many tiles are asked for at once: that is no fault of the server's.
	errBusy = fmt.Errorf("%w: too many of its tiles are asked for at once", ErrAway)
	// errTile says that the server has nothing to show in one place, whatever it answers.
	errTile = fmt.Errorf("%w: what it has for this tile cannot be shown", ErrAway)
	// errRefused says that a server without a key refuses one tile.
	errRefused = fmt.Errorf("%w: it refuses this tile", errTile)
	// errLacks is such a refusal by a server that shows other tiles: empty for now.
	errLacks = fmt.Errorf("%w for now: its server refuses it", ErrEmpty)
)

// ofServer are the answers 4xx that speak of no single tile: they are failures.
var ofServer = []int{http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooManyRequests}

var braces = regexp.MustCompile(`\{[^}]*\}`)

// addressesOf are the addresses of the layers that are drawn over each other.
func addressesOf(s Settings) ([]string, error) {
	if s.Kind == XYZ {
		return []string{s.URL}, checkAddress(s.URL, true)
	}
	names := map[string][]string{"": {"vec", "cva"}, "vec": {"vec", "cva"}, "img": {"img", "cia"}, "ter": {"ter", "cta"}}[s.Layer]
	if names == nil {
		return nil, fmt.Errorf("tianditu has no layer %.40q here: say vec, img or ter", s.Layer)
	}
	service := s.URL
	if service == "" {
		service = tianditu
	}
	if err := checkAddress(service, false); err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		out = append(out, strings.TrimRight(service, "/")+"/"+n+"_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER="+n+
			"&STYLE=default&TILEMATRIXSET=w&FORMAT=tiles&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}&tk={key}")
	}
	return out, nil
}

// checkAddress holds an address to what may be asked for: its host is fixed. It isn't
// repeated in what is said, for somebody may have written a key into it.
func checkAddress(address string, tiles bool) error {
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"), "/")
	u, err := url.Parse(braces.ReplaceAllString(address, "0"))
	switch {
	case address == "":
		return errors.New("xyz needs an address, as https://tiles.example/{z}/{x}/{y}.png")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(host, "{}"):
		return errors.New("the address is not one of http or https with a host of its own, without a name or a password")
	}
	for _, b := range braces.FindAllString(address, -1) {
		if !tiles || !slices.Contains([]string{"{z}", "{x}", "{y}", "{key}"}, b) {
			return fmt.Errorf("the address has %.20s in it, which nobody fills in", b)
		}
	}
	for _, b := range []string{"{z}", "{x}", "{y}"} {
		if tiles && !strings.Contains(address, b) {
			return fmt.Errorf("the address has no %s in it", b)
		}
	}
	return nil
}

// link is the way to the server of a base map.
type link struct {
	addresses []string
	key       string
	types     string // of pictures that are asked for, as in Accept
	client    *http.Client
	now       func() time.Time
	wait      time.Duration // how long somebody waits for a tile
	same      singleflight.Group
	queue     chan struct{}
	places    chan struct{}
	ctx       context.Context
	cancel    context.CancelFunc

	mu       sync.Mutex // guards the rest
	ended    bool
	running  sync.WaitGroup
	failures int
	retry    time.Time
	last     [4]int // the last tile that didn't come: the layer, z, x, y
	good     [4]int // the last one that came
	hasGood  bool
}

// newLink makes one for pictures that are shown as they are, or drawn first.
func newLink(addresses []string, key string, drawn bool, now func() time.Time) (*link, error) {
	l := &link{addresses: addresses, key: key, now: now, wait: waitTime, queue: make(chan struct{}, queueing), places: make(chan struct{}, fetching), types: "image/png, image/jpeg"}
	if !drawn {
		l.types += ", image/webp" // which is not drawn here
	}
	first, err := url.Parse(braces.ReplaceAllString(addresses[0], "0"))
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	l.client = &http.Client{
		Timeout: fetchTime,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: fetching, MaxConnsPerHost: fetching, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: fetchTime, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Host != first.Host || r.URL.Scheme != first.Scheme || len(via) > maxHops {
				return errors.New("it sends to another host")
			}
			return nil
		},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

func (l *link) stop() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
	l.client.CloseIdleConnections()
}

func (l *link) away() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures >= failsToo
}

// shows reports whether a tile has come since the start.
func (l *link) shows() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hasGood
}

// may reports whether to ask now: an upstream that is away is tried once in a while.
func (l *link) may() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if l.failures >= failsToo {
		if now := l.now(); now.Before(l.retry) {
			return false
		} else {
			l.retry = now.Add(tryAgain)
		}
	}
	l.running.Add(1)
	return true
}

// came notes how a question ended.
func (l *link) came(err error, tile [4]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, ErrEmpty):
		l.failures = 0
		if err == nil {
			l.good, l.hasGood = tile, true
		}
	case errors.Is(err, errTile):
		l.failures = 0 // it is there
	case l.ctx.Err() == nil && !errors.Is(err, errBusy):
		l.failures, l.last, l.retry = l.failures+1, tile, l.now().Add(tryAgain)
	}
}

// probe has a tile asked for while the server is away: the last one that came, as one that
// didn't may never come.
func (l *link) probe(sources []source) {
	l.mu.Lock()
	t, due := l.last, !l.ended && l.failures >= failsToo && !l.now().Before(l.retry)
	if due {
		l.running.Add(1)
	}
	if l.hasGood {
		t = l.good
	}
	l.mu.Unlock()
	if !due {
		return
	}
	go func() {
		defer l.running.Done()
		_, _ = sources[t[0]].(*upstream).ask(l.ctx, t[1], t[2], t[3]) // what comes of it is in failures
	}()
}

// upstream is one layer of the pictures of another server.
type upstream struct {
	link *link
	keep *keep
	at   int
}

func (u *upstream) tile(ctx context.Context, z, x, y int) (piece, error) {
	old, fresh, there := u.keep.get(u.name(z, x, y))
	if there && fresh {
		return known(old)
	}
	p, err := u.ask(ctx, z, x, y)
	if err == nil || errors.Is(err, ErrEmpty) {
		return p, err
	}
	if there {
		old.old = true
		return known(old)
	}
	return piece{}, err
}

func (u *upstream) name(z, x, y int) string { return nameOf(strconv.Itoa(u.at), z, x, y) }

// ask asks the server for a tile, and keeps it.
func (u *upstream) ask(ctx context.Context, z, x, y int) (piece, error) {
	name := u.name(z, x, y)
	got := u.link.same.DoChan(name, func() (any, error) {
		if !u.link.may() {
			return piece{}, ErrAway
		}
		defer u.link.running.Done()
		p, err := u.link.fetch(u.at, z, x, y)
		if errors.Is(err, errRefused) {
			if old, _, there := u.keep.get(name); there && len(old.data) > 0 {
				err = fmt.Errorf("%w: it refuses what it sent before", ErrAway)
			}
		}
		u.link.came(err, [4]int{u.at, z, x, y})
		if errors.Is(err, errRefused) && u.link.shows() { // stores of files answer so for what they don't have
			return piece{}, errLacks
		}
		if err == nil || errors.Is(err, ErrEmpty) {
			_ = u.keep.put(name, p) // see put
		}
		return p, err
	})
	wait := time.NewTimer(u.link.wait)
	defer wait.Stop()
	select {
	case r := <-got:
		return r.Val.(piece), r.Err
	case <-wait.C: // it's kept for the next one who asks
	case <-ctx.Done():
	}
	return piece{}, ErrAway
}

func known(p piece) (piece, error) {
	if len(p.data) == 0 {
		return p, ErrEmpty
	}
	return p, nil
}

// place waits for one of those who fetch.
func (l *link) place() error {
	select {
	case l.queue <- struct{}{}:
		defer func() { <-l.queue }()
	default:
		return errBusy
	}
	wait := time.NewTimer(fetchTime)
	defer wait.Stop()
	select {
	case l.places <- struct{}{}:
		return nil
	case <-wait.C:
		return errBusy
	case <-l.ctx.Done():
		return ErrAway
	}
}

// fetch asks for one tile. No error of it names the address, which has the key in it.
func (l *link) fetch(at, z, x, y int) (piece, error) {
	if err := l.place(); err != nil {
		return piece{}, err
	}
	defer func() { <-l.places }()
	ctx, cancel := context.WithTimeout(l.ctx, fetchTime)
	defer cancel()
	address := strings.NewReplacer("{z}", strconv.Itoa(z), "{x}", strconv.Itoa(x), "{y}", strconv.Itoa(y), "{key}", url.QueryEscape(l.key)).Replace(l.addresses[at])
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return piece{}, ErrAway
	}
	r.Header.Set("User-Agent", "OneMap")
	r.Header.Set("Accept", l.types)
	a, err := l.client.Do(r)
	if err != nil {
		return piece{}, ErrAway
	}
	defer a.Body.Close()
	switch status := a.StatusCode; {
	case status == http.StatusOK:
	case status == http.StatusNotFound || status == http.StatusNoContent:
		return piece{}, ErrEmpty
	case status >= 400 && status < 500 && !slices.Contains(ofServer, status) && (l.key == "" || status != http.StatusUnauthorized && status != http.StatusForbidden && status != http.StatusTeapot):
		return piece{}, fmt.Errorf("%w: it answers %d", errRefused, status) // of what has a key these tell that it is wrong or used up, 418 at 天地图
	default:
		return piece{}, fmt.Errorf("%w: it answers %d", ErrAway, status)
	}
	data, err := io.ReadAll(io.LimitReader(a.Body, maxFetched+1))
	if err != nil {
		return piece{}, ErrAway
	}
	said, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	is := http.DetectContentType(data)
	if len(data) > maxFetched || !strings.HasPrefix(said, "image/") || is == "" || !slices.Contains(keptTypes, is) || !strings.Contains(l.types, is) || !ends(is, data) {
		return piece{}, fmt.Errorf("%w: what it sends is no picture, or too large", errTile)
	}
	return piece{data: data, mime: is}, nil
}

// ends reports whether a picture in PNG or JPEG has its end: one that was cut short has not.
func ends(mime string, data []byte) bool {
	switch mime {
	case "image/png":
		return bytes.Contains(data, []byte("IEND\xaeB`\x82"))
	case "image/jpeg":
		return bytes.Contains(data, []byte{0xff, 0xd9})
	}
	return true
}
