// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"os"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"
)

const (
	memoryFloor = 160 << 20   // bytes that are never grudged
	memoryTimes = 1.6         // what is live may be so many times as much before the collector hurries
	memoryEvery = time.Second // a county that grows is followed at once
)

// boundMemory keeps a burst of requests from making the process large for good:
// it follows what is live with a limit at which garbage is collected sooner. Who
// sets GOMEMLIMIT has the last word.
func (s *Server) boundMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	live := []gauges.Sample{{Name: "/gc/heap/live:bytes"}}
	s.every(ctx, memoryEvery, "memory", func(context.Context) error {
		gauges.Read(live)
		if live[0].Value.Kind() == gauges.KindUint64 {
			debug.SetMemoryLimit(max(memoryFloor, int64(memoryTimes*float64(live[0].Value.Uint64()))))
		}
		return nil
	})
}
