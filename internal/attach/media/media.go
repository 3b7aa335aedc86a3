// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package media looks into the files people send from the field: what each is by
// its content, how large and how long, when and where it says it was taken. It says
// how to make the copy that may be served, without what tells a place, a person or a
// device; no picture and no sound is changed by that. It decodes pictures only, and
// only after their size is known to be bearable.
package media

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"
)

// Kind is what people call a file.
type Kind string

// The kinds of file that are taken.
const (
	Photo Kind = "photo" // JPEG, PNG
	Voice Kind = "voice" // AMR, M4A, MP3, Ogg, WAV, WebM without pictures
	Video Kind = "video" // MP4, 3GP, QuickTime, WebM
)

// What a file may hold at most. A camera of 48 or 50 million pixels passes.
const (
	MaxPhoto       = 8 << 20   // bytes
	MaxVoice       = 10 << 20  // bytes
	MaxVideo       = 50 << 20  // bytes
	MaxPixels      = 50 << 20  // of a picture
	MaxPictureRoom = 160 << 20 // bytes that decoding one may take
	MaxVideoTime   = 60 * time.Second
	MaxVoiceTime   = 5 * time.Minute
	timeGrace      = time.Second // recorders end a little late
)

// MaxSize is how many bytes a file of a kind may have.
var MaxSize = map[Kind]int64{Photo: MaxPhoto, Voice: MaxVoice, Video: MaxVideo}

// Refusal says why a file is not taken, and what its sender may do.
type Refusal struct{ Text string }

func (e *Refusal) Error() string { return e.Text }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Info is what a file is.
type Info struct {
	Type          string // its media type
	Kind          Kind
	Width, Height int           // of a picture, as it is stored
	Orientation   int           // of a picture: 1 to 8 as EXIF counts, 1 upright
	Duration      time.Duration // of sound and film
	Taken         Taken
}

// Taken is when and where a file itself says it was taken. Nothing vouches for it.
type Taken struct {
	At       time.Time // zero when it does not say; a time without a zone is of the clocks of China
	HasPlace bool
	Lon, Lat float64 // degrees, as they stand in the file
	Datum    string  // as the file names it; "" where it does not: then nobody knows which
}

// china is the zone of times without one.
var china = time.FixedZone("UTC+8", 8*3600)

// Copy is how the copy to be served is made of the file: pieces in order.
type Copy []Piece

// Piece is a run of the file's bytes, or bytes of its own.
type Piece struct {
	Off, Len int64  // of the file, when Text is nil
	Text     []byte // in their stead
	Zero     bool   // Len bytes of zero
}

func (p Piece) size() int64 {
	if p.Text != nil {
		return int64(len(p.Text))
	}
	return p.Len
}

// Size is how many bytes the copy has.
func (c Copy) Size() (n int64) {
	for _, p := range c {
		n += p.size()
	}
	return n
}

// Write writes the copy of the file r.
func (c Copy) Write(w io.Writer, r io.ReaderAt) error {
	var none [32 << 10]byte
	for _, p := range c {
		var err error
		switch {
		case p.Text != nil:
			_, err = w.Write(p.Text)
		case p.Zero:
			for n := p.Len; n > 0 && err == nil; n -= int64(len(none)) {
				_, err = w.Write(none[:min(n, int64(len(none)))])
			}
		default:
			var n int64
			if n, err = io.Copy(w, io.NewSectionReader(r, p.Off, p.Len)); err == nil && n < p.Len {
				err = io.ErrUnexpectedEOF
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxPieces bounds a copy; a file in more pieces than that was made to be a burden.
const maxPieces = 100_000

// keep adds n bytes of the file from off on.
func (c *Copy) keep(off, n int64) {
	if last := len(*c) - 1; last >= 0 {
		if p := &(*c)[last]; p.Text == nil && !p.Zero && p.Off+p.Len == off {
			p.Len += n
			return
		}
	}
	*c = append(*c, Piece{Off: off, Len: n})
}

// edits are changes in place, by where they begin.
type edits []Piece

// put overwrites what stands at off.
func (e *edits) put(off int64, text []byte) {
	if len(text) > 0 {
		*e = append(*e, Piece{Off: off, Text: text})
	}
}

// zero overwrites n bytes at off.
func (e *edits) zero(off, n int64) {
	if n > 0 {
		*e = append(*e, Piece{Off: off, Len: n, Zero: true})
	}
}

// copyOf is the file with the edits; where two meet the earlier one stands.
func (e edits) copyOf(size int64) Copy {
	slices.SortStableFunc(e, func(a, b Piece) int {
		switch {
		case a.Off < b.Off:
			return -1
		case a.Off > b.Off:
			return 1
		}
		return 0
	})
	var out Copy
	at := int64(0)
	for _, p := range e {
		end := min(p.Off+p.size(), size)
		if end <= at {
			continue
		}
		if p.Off > at {
			out = append(out, Piece{Off: at, Len: p.Off - at})
			at = p.Off
		}
		cut := at - p.Off // of it, what an earlier one covers
		if p.Text != nil {
			out = append(out, Piece{Text: p.Text[cut : end-p.Off]})
		} else {
			out = append(out, Piece{Len: end - at, Zero: true})
		}
		at = end
	}
	if at < size {
		out = append(out, Piece{Off: at, Len: size - at})
	}
	return out
}

const whichTypes = "send a photo as JPEG or PNG, a recording as AMR, M4A, MP3, Ogg or WAV, a film as MP4, 3GP or WebM"

// Examine looks at a whole file of size bytes. A *Refusal says why it is not taken;
// every other error is of reading r.
func Examine(r io.ReaderAt, size int64) (Info, Copy, error) {
	head := make([]byte, 16)
	if n, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return Info{}, nil, err
	} else if n < len(head) {
		return Info{}, nil, refuse("the file is empty or almost: %s", whichTypes)
	}
	kind, look := sniff(head)
	if look == nil {
		return Info{}, nil, refuse("%s is not taken: %s", kind, whichTypes)
	}
	info, c, err := look(r, size)
	if err != nil {
		return Info{}, nil, err
	}
	if most := MaxSize[info.Kind]; size > most {
		return Info{}, nil, refuse("a %s has at most %d MiB: %s", info.Kind, most>>20, smaller[info.Kind])
	}
	most := map[Kind]time.Duration{Voice: MaxVoiceTime, Video: MaxVideoTime}[info.Kind]
	switch {
	case info.Kind == Photo:
	case info.Duration <= 0:
		return Info{}, nil, refuse("how long the %s is cannot be read: record it anew", info.Kind)
	case info.Duration > most+timeGrace:
		return Info{}, nil, refuse("the %s lasts %d s, and at most %d s are taken: cut it, or send it in parts", info.Kind, info.Duration/time.Second, most/time.Second)
	}
	return info, c, nil
}

var smaller = map[Kind]string{
	Photo: "choose a smaller picture size in the camera", Voice: "send it in parts", Video: "choose a lower quality in the camera, or cut it",
}

type examiner func(r io.ReaderAt, size int64) (Info, Copy, error)

// sniff tells by its first 16 bytes what a file is; nil for what is not taken.
func sniff(head []byte) (string, examiner) {
	is := func(off int, text string) bool { return bytes.HasPrefix(head[off:], []byte(text)) }
	brand := string(head[8:12])
	switch {
	case is(0, "\xff\xd8\xff"):
		return "JPEG", inMemory(Photo, examineJPEG)
	case is(0, "\x89PNG\r\n\x1a\n"):
		return "PNG", inMemory(Photo, examinePNG)
	case is(4, "ftyp") && slices.Contains([]string{"heic", "heix", "hevc", "heim", "heis", "mif1", "msf1", "avif", "avis"}, brand):
		return "a HEIC or AVIF picture (set the camera to the most compatible format, JPEG)", nil
	case is(4, "ftyp"):
		return "MP4", examineMP4
	case is(0, "\x1a\x45\xdf\xa3"):
		return "WebM", examineWebM
	case is(0, "#!AMR"):
		return "AMR", inMemory(Voice, examineAMR)
	case is(0, "RIFF") && is(8, "WAVE"):
		return "WAV", examineWAV
	case is(0, "RIFF") && is(8, "WEBP"):
		return "a WebP picture", nil
	case is(0, "OggS"):
		return "Ogg", inMemory(Voice, examineOgg)
	case is(0, "ID3"), head[0] == 0xff && head[1]&0xe0 == 0xe0:
		return "MP3", inMemory(Voice, examineMP3)
	}
	return "this kind of file", nil
}

// inMemory reads a file whole for look, if it is not larger than its kind may be.
func inMemory(k Kind, look func([]byte) (Info, Copy, error)) examiner {
	return func(r io.ReaderAt, size int64) (Info, Copy, error) {
		if size > MaxSize[k] {
			return Info{}, nil, refuse("a %s has at most %d MiB: %s", k, MaxSize[k]>>20, smaller[k])
		}
		b := make([]byte, size)
		if _, err := r.ReadAt(b, 0); err != nil && err != io.EOF {
			return Info{}, nil, err
		}
		return look(b)
	}
}

// DeclaredKind is the kind of a media type that a sender declares; false for what is
// not taken.
func DeclaredKind(mediaType string) (Kind, bool) {
	k, ok := map[string]Kind{
		"image/jpeg": Photo, "image/png": Photo,
		"audio/amr": Voice, "audio/3gpp": Voice, "audio/amr-wb": Voice, "audio/mp4": Voice, "audio/x-m4a": Voice, "audio/mpeg": Voice, "audio/ogg": Voice,
		"audio/wav": Voice, "audio/x-wav": Voice, "audio/webm": Voice,
		"video/mp4": Video, "video/3gpp": Video, "video/quicktime": Video, "video/webm": Video,
	}[mediaType]
	return k, ok
}

// WhichTypes says what is taken.
func WhichTypes() string { return whichTypes }
