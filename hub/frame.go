// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import "encoding/binary"

// frame is one WebSocket frame, ready to be written to any number of sockets.
type frame struct {
	wire      []byte
	messages  int  // protocol messages inside
	free      bool // a snapshot: not counted against the socket's queue
	positions bool // a client owes the socket at most one of these
}

const (
	opText   = 0x1
	opBinary = 0x2
	opPing   = 0x9
	opPong   = 0xA

	headRoom = 10           // the longest header a server sends: nothing is masked
	fullAt   = 64 << 10     // a gathered frame is closed when it passes this many bytes
	textRoom = headRoom + 1 // and the bracket of a frame that gathers several messages
)

// seal writes the header in front of the payload buf[at:].
//
//	buf  |........|header|payload ...|
//	              ^ the frame starts here; at is where the payload starts
func seal(buf []byte, at int, op byte) []byte {
	n := len(buf) - at
	var h [headRoom]byte
	h[0] = 0x80 | op
	size := 2
	switch {
	case n < 126:
		h[1] = byte(n)
	case n < 1<<16:
		h[1], size = 126, 4
		binary.BigEndian.PutUint16(h[2:], uint16(n))
	default:
		h[1], size = 127, 10
		binary.BigEndian.PutUint64(h[2:], uint64(n))
	}
	copy(buf[at-size:], h[:size])
	return buf[at-size:]
}

// control makes a ping or pong frame.
func control(op byte, payload string) *frame {
	buf := append(make([]byte, headRoom, headRoom+len(payload)), payload...)
	return &frame{wire: seal(buf, headRoom, op)}
}

// gathered collects messages in order into as few text frames as it takes: one
// message stands alone, several form a JSON array.
type gathered struct {
	buf    []byte
	n      int
	frames []*frame
}

// next returns the buffer to append the next message to; the caller gives it
// back through took.
func (g *gathered) next() []byte {
	if g.n > 0 && len(g.buf) > fullAt {
		g.cut()
	}
	if g.buf == nil {
		g.buf = make([]byte, textRoom, 1024)
	}
	if g.n > 0 {
		g.buf = append(g.buf, ',')
	}
	return g.buf
}

func (g *gathered) took(buf []byte) { g.buf, g.n = buf, g.n+1 }

func (g *gathered) cut() {
	if g.n == 0 {
		return
	}
	at := textRoom
	if g.n > 1 {
		at--
		g.buf[at] = '['
		g.buf = append(g.buf, ']')
	}
	g.frames = append(g.frames, &frame{wire: seal(g.buf, at, opText), messages: g.n})
	g.buf, g.n = nil, 0
}

// all closes the last frame and returns every one in order.
func (g *gathered) all() []*frame {
	g.cut()
	return g.frames
}
