// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the figures an operator's monitoring reads.
type metrics struct {
	registry *prometheus.Registry
	fixes    *prometheus.CounterVec
	refused  *prometheus.CounterVec

	mirrorLooked, mirrorWrong prometheus.Counter
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "onemap_refused_total", Help: "Requests refused by a limit, by its rule."}, []string{"rule"}),
		fixes:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "onemap_device_reports_total", Help: "Reports of devices by what became of them."}, []string{"fate"}),
	}
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m.mirrorLooked = count("onemap_mirror_checked_total", "Incidents in memory that were held against the database.")
	m.mirrorWrong = count("onemap_mirror_wrong_total", "Those of them that were other than there: an alarm.")
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	m.registry.MustRegister(
		m.fixes, m.refused, m.mirrorLooked, m.mirrorWrong, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("onemap_live_sockets", "Open sockets of the live stream.", func() float64 { return float64(s.hub.Stats().Clients) }),
		gauge("onemap_live_messages", "Messages written to sockets since the start.", func() float64 { return float64(s.hub.Stats().Sent) }),
		gauge("onemap_live_bytes", "Bytes written to sockets since the start.", func() float64 { return float64(s.hub.Stats().Bytes) }),
		gauge("onemap_live_slow_closes", "Sockets closed since the start because they read too slowly.", func() float64 { return float64(s.hub.Stats().Slow) }),
		gauge("onemap_feed_head", "The newest sequence number on this node.", func() float64 { return float64(s.hub.Head()) }),
		gauge("onemap_feed_wait_seconds", "How long the oldest event has waited for its number.", func() float64 { return s.unnumbered.age().Seconds() }),
		gauge("onemap_sweep_fired", "Rungs of limits that this node carried out since the start.", func() float64 { return float64(s.sweep.State().Fired) }),
		gauge("onemap_sweep_late_seconds", "How late the last one was.", func() float64 { return s.sweep.State().Late.Seconds() }),
		gauge("onemap_sweep_clock_off_seconds", "How far this node's clock is ahead of the database's; beyond 2 it does not sweep.", func() float64 { return s.sweep.State().Off.Seconds() }),
		gauge("onemap_mirror_incidents", "Incidents in memory.", func() float64 { rows, _ := s.mirror.Size(); return float64(rows) }),
		gauge("onemap_mirror_bytes", "What their columns take.", func() float64 { _, bytes := s.mirror.Size(); return float64(bytes) }),
		gauge("onemap_mirror_seq", "The event that they are as of; 0 before they are read.", func() float64 { return float64(s.mirrorSeq()) }),
		gauge("onemap_mirror_load_seconds", "How long reading all of them took the last time.", func() float64 { return time.Duration(s.mirrorTook.Load()).Seconds() }),
		gauge("onemap_pool_connections", "Database connections in use.", func() float64 { return float64(s.inUse()) }),
	)
	return m
}

// adminHandler serves metrics and profiles, on an address of its own.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !byAddress(r.Host) {
			http.Error(w, "name this listener by its address or as localhost", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// byAddress reports whether a Host is an address or localhost: a page elsewhere
// whose name was made to lead here has a name of its own.
func byAddress(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}
