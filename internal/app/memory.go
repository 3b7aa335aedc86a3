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
	memoryTimes = 1.4         // what is live may be so many times as much before the collector hurries
	memoryEvery = time.Second // a county that grows is followed at once
)

// boundMemory keeps a burst of requests from making the process large for good:
// it follows what is live with a limit at which garbage is collected sooner. Who
// sets GOMEMLIMIT has the last word.
func (s *Server) boundMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	m := []gauges.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	s.every(ctx, memoryEvery, "memory", func(context.Context) error {
		gauges.Read(m)
		debug.SetMemoryLimit(memoryLimit(m[0].Value.Uint64(), m[1].Value.Uint64()-m[2].Value.Uint64()-m[3].Value.Uint64()-m[4].Value.Uint64()-m[5].Value.Uint64()))
		return nil
	})
}

// memoryLimit is for a process with so many bytes alive and so many beside the
// heap: stacks of thousands of sockets are no garbage and must not look like it.
func memoryLimit(live, beside uint64) int64 {
	return max(memoryFloor, int64(memoryTimes*float64(live))+int64(beside))
}
