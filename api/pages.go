// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
)

// page is one file of the front end, ready to send.
type page struct {
	body      []byte
	packed    func() []byte // body in gzip, made when first asked for; empty where that gains nothing
	mime      string
	immutable bool // its name changes with its content
}

// screens are the addresses of pages; each file is NAME.html.
var screens = []string{"wall", "desk", "review", "field", "admin"}

// pages serves the built front end. A file that is not there is 404 and never
// another page: a page served in a script's place would leave a map blank
// without a word.
func (s *Server) pages() {
	files := map[string]page{}
	err := fs.WalkDir(s.o.Pages, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		body, err := fs.ReadFile(s.o.Pages, name)
		if err == nil {
			files["/"+name] = makePage(name, body)
		}
		return err
	})
	if err != nil {
		s.o.Log.Error("front end not readable", "err", err)
	}
	for _, name := range screens {
		if p, ok := files["/"+name+".html"]; ok {
			files["/"+name] = p
		}
	}
	s.gin.GET("/", func(c *gin.Context) {
		if _, ok := files["/wall"]; ok {
			c.Redirect(http.StatusFound, "/wall")
			return
		}
		sendPage(c, files["/index.html"])
	})
	s.gin.NoRoute(func(c *gin.Context) {
		p, ok := files[c.Request.URL.Path]
		if !ok || !safeMethod(c.Request.Method) {
			refuse(c, problem(http.StatusNotFound, "nothing here"))
			return
		}
		sendPage(c, p)
	})
}

func makePage(name string, body []byte) page {
	p := page{body: body, mime: mime.TypeByExtension(path.Ext(name)), immutable: strings.HasPrefix(name, "assets/")}
	switch path.Ext(name) {
	case ".mjs", ".js":
		p.mime = "text/javascript; charset=utf-8"
	case ".woff2":
		p.mime = "font/woff2"
		p.packed = func() []byte { return nil }
		return p
	case ".webmanifest":
		p.mime = "application/manifest+json"
	}
	p.packed = sync.OnceValue(func() []byte { return pack(body) })
	return p
}

func pack(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if _, err := w.Write(body); err == nil && w.Close() == nil && b.Len() < len(body)*9/10 {
		return b.Bytes()
	}
	return nil
}

func sendPage(c *gin.Context, p page) {
	cache := "no-cache"
	if p.immutable {
		cache = "public, max-age=31536000, immutable"
	}
	c.Header("Cache-Control", cache)
	c.Header("Vary", "Accept-Encoding")
	if strings.Contains(c.GetHeader("Accept-Encoding"), "gzip") {
		if packed := p.packed(); len(packed) > 0 {
			c.Header("Content-Encoding", "gzip")
			c.Data(http.StatusOK, p.mime, packed)
			return
		}
	}
	c.Data(http.StatusOK, p.mime, p.body)
}
