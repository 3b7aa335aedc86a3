// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"onemap/auth"
	"onemap/internal/attach/media"
	"onemap/store"
	"onemap/store/ledger"
)

// systemActor ends uploads: who began one had the right when the bytes came.
var systemActor = auth.SystemActor("attachments")

// Complete looks into an upload whose bytes are all here and makes it ready, or
// refuses it for its content: see State of what it returns. Every other error means
// that it is pending still, and Sweep will try again.
func (k *Keeper) Complete(ctx context.Context, requestID string, a store.Attachment) (store.Attachment, error) {
	leave, err := k.take(a)
	if err != nil {
		return a, err
	}
	defer leave()
	select {
	case k.work <- struct{}{}:
		defer func() { <-k.work }()
	case <-ctx.Done():
		return a, ctx.Err()
	}
	s := ledger.Attachment{Incident: a.Incident, N: a.N}
	found, err := k.lookInto(a)
	var no *media.Refusal
	switch {
	case errors.As(err, &no):
		s.Refuse = no.Text
	case full(err):
		return a, ErrNoRoom
	case err != nil:
		return a, fmt.Errorf("attach: attachment %d of incident %d: %w", a.N, a.Incident, err)
	default:
		s.Whole = &found
	}
	done, err := k.step(ctx, requestID, s)
	if err != nil {
		return a, err
	}
	if err := k.Abandon(a); err != nil {
		k.o.Log.Warn("a part is left over", "attachment", partName(a), "err", err)
	}
	return done, nil
}

// lookInto makes an upload's files: as received, to be served, the thumbnail.
func (k *Keeper) lookInto(a store.Attachment) (found store.FoundFile, err error) {
	f, err := os.Open(k.partPath(a))
	if err != nil {
		return found, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	switch {
	case err != nil:
		return found, err
	case n != a.Size:
		return found, fmt.Errorf("%d of %d bytes are here", n, a.Size)
	case store.FileHash(sum.Sum(nil)) != a.SHA256:
		return found, &media.Refusal{Text: "the file did not arrive as it was sent (its SHA-256 is another): send it again from the beginning"}
	}
	info, how, err := examine(f, n)
	if err != nil {
		return found, err
	}
	if string(info.Kind) != a.Kind {
		return found, &media.Refusal{Text: fmt.Sprintf("the file was said to be a %s and is a %s (%s): send it as what it is", a.Kind, info.Kind, info.Type)}
	}
	if found, err = k.makeCopies(f, info, how); err != nil {
		return found, err
	}
	return found, k.keep(k.partPath(a), a.SHA256)
}

// examine is media.Examine; a fault of its own is a refusal, since what made it came
// from outside.
func examine(f io.ReaderAt, size int64) (info media.Info, how media.Copy, err error) {
	defer refusePanic(&err)
	return media.Examine(f, size)
}

func thumbnail(info media.Info, copied io.Reader) (b []byte, err error) {
	defer refusePanic(&err)
	return media.Thumbnail(info, copied)
}

func refusePanic(err *error) {
	if x := recover(); x != nil {
		*err = &media.Refusal{Text: "the file cannot be read: take it anew"}
	}
}

// makeCopies makes what is served of a file.
func (k *Keeper) makeCopies(f io.ReaderAt, info media.Info, how media.Copy) (found store.FoundFile, err error) {
	found = store.FoundFile{Type: info.Type, Width: info.Width, Height: info.Height, Duration: info.Duration, ServedSize: how.Size()}
	if info.Orientation >= 5 { // as it is shown
		found.Width, found.Height = info.Height, info.Width
	}
	if t := info.Taken; !t.At.IsZero() {
		found.CapturedAt = &t.At
	}
	if t := info.Taken; t.HasPlace {
		found.Place = &store.FilePlace{Lon: t.Lon, Lat: t.Lat, Datum: t.Datum}
	}
	err = k.made(func(w io.Writer) error { return how.Write(w, f) }, &found.Served, func(copied io.Reader) error {
		if info.Kind != media.Photo {
			return nil
		}
		small, err := thumbnail(info, copied)
		if err != nil {
			return err
		}
		found.Thumb = &store.FileHash{}
		return k.made(func(w io.Writer) error { _, err := io.Copy(w, bytes.NewReader(small)); return err }, found.Thumb, nil)
	})
	return found, err
}

// made writes a file, lets look into it, and keeps it by its hash.
func (k *Keeper) made(write func(io.Writer) error, h *store.FileHash, look func(io.Reader) error) error {
	f, err := k.temporary()
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	sum := sha256.New()
	if err := write(io.MultiWriter(f, hash.Hash(sum))); err != nil {
		return err
	}
	if look != nil {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := look(f); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	*h = store.FileHash(sum.Sum(nil))
	return k.keep(f.Name(), *h)
}
