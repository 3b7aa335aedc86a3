// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// This file is the only one that knows the WebSocket library. It is used for the
// handshake, for reading and for close frames; what the hub sends is framed once
// (see frame) and written straight to the connection.

// Subprotocol names the wire form of the live stream.
const Subprotocol = "onemap.v1"

const (
	readLimit      = 16 << 10         // bytes a client may send in one message
	kernelBuffer   = 64 << 10         // send buffer; more would let old positions pile up
	writeDeadline  = 5 * time.Second  // for each started MiB of one write
	pongWait       = 60 * time.Second // without a sign of life the socket is dropped
	lingerTime     = time.Second      // how long a closed socket waits for its peer's answer
	lingerBytes    = 256 << 10
	closeDeadline  = time.Second
	abnormalClose  = websocket.CloseAbnormalClosure
	badData        = websocket.CloseUnsupportedData
	policyBreach   = websocket.ClosePolicyViolation
	tryAgainLater  = websocket.CloseTryAgainLater
	serviceRestart = websocket.CloseServiceRestart
)

// errBinary is read's answer to a binary message: clients speak JSON.
var errBinary = errors.New("hub: a client sent a binary message")

type socket struct {
	ws *websocket.Conn
	nc net.Conn
}

// isUpgrade reports whether r asks for our subprotocol over WebSocket.
func isUpgrade(r *http.Request) bool {
	if !websocket.IsWebSocketUpgrade(r) {
		return false
	}
	for _, p := range websocket.Subprotocols(r) {
		if p == Subprotocol {
			return true
		}
	}
	return false
}

// upgrade takes the connection over. It has answered the request when it fails.
// Nothing is compressed: a small compressed message can unpack to megabytes.
func upgrade(w http.ResponseWriter, r *http.Request) (*socket, error) {
	u := websocket.Upgrader{
		HandshakeTimeout: writeDeadline,
		ReadBufferSize:   512,
		WriteBufferSize:  512,
		WriteBufferPool:  noBuffers{},
		Subprotocols:     []string{Subprotocol},
		CheckOrigin:      func(*http.Request) bool { return true }, // checkOrigin has looked already
	}
	ws, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	s := &socket{ws: ws, nc: ws.NetConn()}
	if t := s.tcp(); t != nil {
		_ = t.SetWriteBuffer(kernelBuffer) // a hint; the queue's bound holds without it
	}
	ws.SetReadLimit(readLimit)
	ws.SetCloseHandler(func(int, string) error { return nil })
	return s, nil
}

// noBuffers spares each connection a write buffer of its own: the library writes
// control frames only, which need none.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// tcp returns the TCP connection below, through TLS; nil when there is none.
func (s *socket) tcp() *net.TCPConn {
	nc := s.nc
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = t.NetConn()
	}
	t, _ := nc.(*net.TCPConn)
	return t
}

// onPing sets what a sign of life does and who answers the peer's pings.
func (s *socket) onPing(alive func(), answer func(payload string)) {
	s.ws.SetPingHandler(func(p string) error {
		alive()
		answer(p)
		return nil
	})
	s.ws.SetPongHandler(func(string) error {
		alive()
		return nil
	})
}

// expect sets how long read may wait from now on.
func (s *socket) expect(d time.Duration) { _ = s.ws.SetReadDeadline(time.Now().Add(d)) }

// read returns the next text message. An oversized one has been answered with
// close code 1009 when read fails.
func (s *socket) read() ([]byte, error) {
	kind, r, err := s.ws.NextReader()
	if err != nil {
		return nil, err
	}
	if kind != websocket.TextMessage {
		return nil, errBinary
	}
	return io.ReadAll(r)
}

// write sends ready frames, several in one system call. One goroutine may write
// at a time.
func (s *socket) write(frames []*frame) error {
	size := 0
	for _, f := range frames {
		size += len(f.wire)
	}
	limit := writeDeadline * time.Duration(1+size>>20)
	if err := s.nc.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if len(frames) == 1 {
		_, err := s.nc.Write(frames[0].wire)
		return err
	}
	bufs := make(net.Buffers, len(frames))
	for i, f := range frames {
		bufs[i] = f.wire
	}
	_, err := bufs.WriteTo(s.nc)
	return err
}

// sendClose tells the peer why and that nothing more comes.
func (s *socket) sendClose(code int, reason string) error {
	msg := websocket.FormatCloseMessage(code, reason)
	err := s.ws.WriteControl(websocket.CloseMessage, msg, time.Now().Add(closeDeadline))
	if t := s.tcp(); t != nil && err == nil {
		_ = t.CloseWrite()
	}
	return err
}

// drain reads what the peer still sends, for a moment, so that the close frame
// is not lost to a connection reset.
func (s *socket) drain() {
	_ = s.nc.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, s.nc, lingerBytes)
}

// kill frees the connection and what the kernel still holds for it.
func (s *socket) kill(abort bool) {
	if t := s.tcp(); t != nil && abort {
		_ = t.SetLinger(0)
	}
	_ = s.nc.Close()
}

// oversized reports whether read failed because of a message over readLimit.
func oversized(err error) bool { return errors.Is(err, websocket.ErrReadLimit) }

// timedOut reports whether read failed because nothing came.
func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
