// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdnet "net" // net is the road net here
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/geo"
)

// client speaks to a server as phones and operators do, on this machine only.
type client struct {
	http    *http.Client
	server  string
	devices string
	token   string
}

const (
	requestTimeout = 15 * time.Second
	maxAnswer      = 64 << 20
	maxConns       = 64
	gridPage       = 2000 // the most grids in one answer
)

var errNotLoopback = errors.New("a pretend field speaks to this machine only: use localhost, 127.0.0.1 or [::1]")

// newClient refuses every address that is not this machine's own; so does each
// connection, whatever a name resolves to.
func newClient(server, devices, token string, secure *tls.Config) (*client, error) {
	for _, u := range []*string{&server, &devices} {
		if *u == "" {
			continue
		}
		p, err := url.Parse(*u)
		if err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Host == "" {
			return nil, fmt.Errorf("%q is no http address", *u)
		}
		if ip, err := netip.ParseAddr(p.Hostname()); p.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("%q: %w", *u, errNotLoopback)
		}
		*u = p.Scheme + "://" + p.Host
	}
	dialer := &stdnet.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().IsLoopback() {
			return errNotLoopback
		}
		return nil
	}}
	return &client{server: server, devices: devices, token: token, http: &http.Client{
		Timeout:       requestTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: maxConns, TLSClientConfig: secure},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// position is one fix as a phone sends it.
type position struct {
	at       time.Time
	p        geo.WGS84
	accuracy float64 // metres; 0 unknown
	speed    float64 // m/s
	course   float64
	battery  int
}

// send posts positions as Traccar Client does, one as a form and several as a JSON
// array, and returns the answer's status.
func (c *client) send(ctx context.Context, device string, ps []position) (int, error) {
	contentType, body := "application/x-www-form-urlencoded", []byte(nil)
	if len(ps) == 1 {
		form := url.Values{}
		for k, v := range ps[0].fields(device) {
			form.Set(k, v)
		}
		body = []byte(form.Encode())
	} else {
		objects := make([]map[string]string, len(ps))
		for i, p := range ps {
			objects[i] = p.fields(device)
		}
		var err error
		if body, err = json.Marshal(objects); err != nil {
			return 0, err
		}
		contentType = "application/json"
	}
	r, err := c.do(ctx, "", http.MethodPost, c.devices+"/", body, map[string]string{"Content-Type": contentType})
	return r.status, err
}

// fields are the keys and values a phone sends.
func (p position) fields(device string) map[string]string {
	const knots = 3600.0 / 1852
	f := map[string]string{
		"id": device, "lat": decimal(p.p.Lat(), 7), "lon": decimal(p.p.Lon(), 7),
		"timestamp": strconv.FormatInt(p.at.Unix(), 10), "speed": decimal(p.speed*knots, 2), "bearing": decimal(p.course, 0),
		"accuracy": decimal(p.accuracy, 1), "batt": strconv.Itoa(p.battery),
	}
	if p.at.Nanosecond() != 0 {
		f["timestamp"] = strconv.FormatInt(p.at.UnixMilli(), 10)
	}
	return f
}

func decimal(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

// report posts an incident under an idempotency key and returns its id.
func (c *client) report(ctx context.Context, key string, body any) (id string, status int, err error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return "", 0, err
	}
	r, err := c.do(ctx, c.token, http.MethodPost, c.server+"/api/v1/incidents", raw, map[string]string{"Content-Type": "application/json", "Idempotency-Key": key})
	if err != nil || r.status >= 300 {
		return "", r.status, err
	}
	var got struct{ ID string }
	if err := json.Unmarshal(r.body, &got); err != nil {
		return "", r.status, fmt.Errorf("the answer to a report: %w", err)
	}
	return got.ID, r.status, nil
}

// area is a grid as far as the field needs it.
type area struct {
	code, name, parent string
	geom               orb.MultiPolygon
}

// leaves asks for every grid and returns those without children, in order.
func (c *client) leaves(ctx context.Context) ([]area, error) {
	var all []area
	parents := map[string]bool{}
	for {
		q := url.Values{}
		if n := len(all); n > 0 {
			q.Set("cursor", all[n-1].code)
		}
		page, err := c.grids(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, a := range page {
			parents[a.parent] = true
		}
		all = append(all, page...)
		if len(page) < gridPage {
			break
		}
	}
	var leaves []area
	for _, a := range all {
		if !parents[a.code] {
			leaves = append(leaves, a)
		}
	}
	return leaves, nil
}

func (c *client) grids(ctx context.Context, q url.Values) ([]area, error) {
	body, err := c.get(ctx, "/api/v1/grids?"+q.Encode(), "application/geo+json")
	if err != nil {
		return nil, err
	}
	fc, err := geojson.UnmarshalFeatureCollection(body)
	if err != nil {
		return nil, fmt.Errorf("grids: %w", err)
	}
	areas := make([]area, 0, len(fc.Features))
	for _, f := range fc.Features {
		a := area{code: f.Properties.MustString("code", ""), name: f.Properties.MustString("name", ""), parent: f.Properties.MustString("parent", "")}
		switch g := f.Geometry.(type) {
		case orb.MultiPolygon:
			a.geom = g
		case orb.Polygon:
			a.geom = orb.MultiPolygon{g}
		default:
			return nil, fmt.Errorf("grid %s is a %s", a.code, f.Geometry.GeoJSONType())
		}
		areas = append(areas, a)
	}
	return areas, nil
}

// homes asks which grid each badge serves.
func (c *client) homes(ctx context.Context) (map[string]string, error) {
	body, err := c.get(ctx, "/api/v1/workers/live", "application/json")
	if err != nil {
		return nil, err
	}
	var got struct {
		Items []struct{ Badge, Grid string }
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	homes := make(map[string]string, len(got.Items))
	for _, w := range got.Items {
		homes[w.Badge] = w.Grid
	}
	return homes, nil
}

func (c *client) get(ctx context.Context, path, accept string) ([]byte, error) {
	r, err := c.do(ctx, c.token, http.MethodGet, c.server+path, nil, map[string]string{"Accept": accept})
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d to its %s", r.status, path)
	}
	return r.body, nil
}

// reply is a server's answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends one request; token "" for none, as the device port wants it.
func (c *client) do(ctx context.Context, token, method, target string, body []byte, header map[string]string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return reply{resp.StatusCode, resp.Header, answer}, err
}
