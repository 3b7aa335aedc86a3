// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// Where the photos of these tests say they were taken, as degrees, minutes and
// hundredths of a second.
var canaryDegrees = [6]uint32{38, 11, 181, 107, 29, 1857}

// photo is a JPEG of noise with an EXIF block that says where, and a comment.
func photo(t testing.TB, w, h int, comment string) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint32())
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	e := []byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08")
	u16 := func(v ...uint16) {
		for _, x := range v {
			e = binary.BigEndian.AppendUint16(e, x)
		}
	}
	u32 := func(v ...uint32) {
		for _, x := range v {
			e = binary.BigEndian.AppendUint32(e, x)
		}
	}
	u16(2, 0x0112, 3) // lies on its side
	u32(1)
	u16(6, 0, 0x8825, 4)
	u32(1, 38, 0)
	u16(4, 1, 2)
	u32(2, 'N'<<24)
	u16(2, 5)
	u32(3, 92)
	u16(3, 2)
	u32(2, 'E'<<24)
	u16(4, 5)
	u32(3, 116, 0)
	d := canaryDegrees
	u32(d[0], 1, d[1], 1, d[2], 100, d[3], 1, d[4], 1, d[5], 100)
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1, byte((len(e) + 2) >> 8), byte(len(e) + 2)}, e...)
	out = append(out, 0xff, 0xfe, 0, byte(len(comment)+2))
	return append(append(out, comment...), b.Bytes()[2:]...)
}

// said is Upload-Metadata of a file, with more keys and values.
func said(kind string, file []byte, more ...string) string {
	sum := sha256.Sum256(file)
	more = append([]string{"filetype", kind, "sha256", hex.EncodeToString(sum[:])}, more...)
	var out []string
	for i := 0; i < len(more); i += 2 {
		out = append(out, more[i]+" "+base64.StdEncoding.EncodeToString([]byte(more[i+1])))
	}
	return strings.Join(out, ",")
}

// beginUpload asks for an upload.
func (st *stand) beginUpload(token, incident, kind string, file []byte, more ...string) answer {
	st.t.Helper()
	return st.call("POST", "/api/v1/incidents/"+incident+"/attachments", token, "", "Tus-Resumable: 1.0.0", fmt.Sprintf("Upload-Length: %d", len(file)),
		"Upload-Metadata: "+said(kind, file, more...))
}

// attach begins an upload and returns where its parts go.
func (st *stand) attach(token, incident, kind string, file []byte, more ...string) string {
	st.t.Helper()
	a := st.beginUpload(token, incident, kind, file, more...)
	at := a.header.Get("Location")
	if a.status != 201 || at == "" || a.header.Get("Tus-Resumable") != "1.0.0" {
		st.t.Fatalf("an upload is not begun: %d %s %v", a.status, a.body, a.header)
	}
	return at
}

// sendPart sends what is left of file from off on.
func (st *stand) sendPart(token, at string, off int, part []byte, headers ...string) answer {
	st.t.Helper()
	return st.call("PATCH", at, token, string(part), append([]string{"Content-Type: application/offset+octet-stream", fmt.Sprintf("Upload-Offset: %d", off)}, headers...)...)
}

func (st *stand) offset(token, at string) string {
	st.t.Helper()
	a := st.call("HEAD", at, token, "")
	if a.status != 200 {
		return fmt.Sprint("status ", a.status)
	}
	return a.header.Get("Upload-Offset")
}

// fieldWorker makes a worker at home in A1 and a token of theirs.
func (st *stand) fieldWorker(badge string) (token string) {
	st.t.Helper()
	var id uint32
	if err := st.s.db.Pool.QueryRow(st.t.Context(), "INSERT INTO worker (badge) VALUES ($1) RETURNING id", badge).Scan(&id); err != nil {
		st.t.Fatal(err)
	}
	secret, until := store.NewSecret(), time.Now().Add(200*time.Hour)
	if _, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: auth.GridWorker, GridCode: "A1", ExpiresAt: &until, Worker: id}); err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// ownIncident is an incident that the worker reported.
func (st *stand) ownIncident(token string) string {
	st.t.Helper()
	a := st.report(token, 107.2, 38.3)
	if a.status != 201 {
		st.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.json(st.t)["id"].(string)
}

func (st *stand) attachments(token, incident string) []map[string]any {
	st.t.Helper()
	a := st.get("/api/v1/incidents/"+incident+"/attachments", token)
	var v struct{ Items []map[string]any }
	if err := json.Unmarshal(a.body, &v); a.status != 200 || err != nil {
		st.t.Fatalf("%d %s", a.status, a.body)
	}
	return v.Items
}

// noPlace fails when an answer holds the place of photo in any form.
func noPlace(t *testing.T, what string, a answer) {
	t.Helper()
	var be, le []byte
	for i, v := range canaryDegrees {
		be = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(be, v), map[bool]uint32{true: 100, false: 1}[i%3 == 2])
		le = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(le, v), map[bool]uint32{true: 100, false: 1}[i%3 == 2])
	}
	for _, c := range [][]byte{be[:24], be[24:], le[:24], le[24:], []byte("38.1838"), []byte("107.4884"), []byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x02"), []byte("secret comment")} {
		if bytes.Contains(a.body, c) {
			t.Errorf("%s tells the place or the comment of a photo: %q", what, c)
		}
	}
}

// TestAnUploadGoesOnWhereItWasCut, also over a restart of the server, and is served
// without its place.
func TestAnUploadGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	worker, hall := st.fieldWorker("W1"), st.token(auth.HallOperator, "")
	id := st.ownIncident(worker)
	before := st.get("/api/v1/incidents/"+id, worker)
	file := photo(t, 700, 500, "secret comment")
	taken := time.Date(2026, 11, 22, 7, 4, 5, 0, time.UTC)
	at := st.attach(worker, id, "image/jpeg", file, "captured_at", taken.Format(time.RFC3339), "lon", "107.2062", "lat", "38.3012", "crs", "gcj02", "client_ref", "phone-1/1", "filename", "IMG.jpg")
	if got := st.offset(worker, at); got != "0" {
		t.Fatalf("a new upload stands at %s", got)
	}
	if st.cutOff(worker, at, file, len(file)/3); st.offset(worker, at) == "0" {
		t.Fatal("nothing of a part that was cut off is kept")
	}
	var have int
	if _, err := fmt.Sscan(st.offset(worker, at), &have); err != nil || have > len(file)/3 {
		t.Fatalf("%d bytes of %d sent (%v)", have, len(file)/3, err)
	}
	for range 50 { // the request that was cut off may still be there
		if a := st.sendPart(worker, at, have+1, file[have+1:]); a.header.Get("Retry-After") == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if a := st.sendPart(worker, at, have+1, file[have+1:]); a.status != 409 || a.header.Get("Upload-Offset") != fmt.Sprint(have) {
		t.Errorf("a part that leaves a hole: %d %s %v", a.status, a.body, a.header)
	}
	if a := st.sendPart(worker, at, have, append(bytes.Clone(file[have:]), 'x')); a.status != 413 {
		t.Errorf("a part that is too long: %d %s", a.status, a.body)
	}
	if list := st.attachments(hall, id); len(list) != 1 || list[0]["state"] != "pending" || list[0]["client_ref"] != nil {
		t.Errorf("while it is on its way the hall sees %v", list)
	}
	for _, path := range []string{"/content", "/thumbnail"} {
		if a := st.get(at+path, hall); a.status != 404 {
			t.Errorf("%s of what is not whole: %d", path, a.status)
		}
	}
	st.restart()
	if got := st.offset(worker, at); got != fmt.Sprint(have) {
		t.Fatalf("after a restart the upload stands at %s, not %d", got, have)
	}
	a := st.sendPart(worker, at, have, file[have:], "Tus-Resumable: 1.0.0")
	if a.status != 204 || a.header.Get("Upload-Offset") != fmt.Sprint(len(file)) {
		t.Fatalf("the last part: %d %s %v", a.status, a.body, a.header)
	}
	if a := st.sendPart(worker, at, len(file), nil); a.status != 204 { // a client that did not hear the answer
		t.Errorf("nothing more: %d %s", a.status, a.body)
	}

	sum := sha256.Sum256(file)
	got := st.attachments(worker, id)[0]
	for key, want := range map[string]any{
		"n": 1., "state": "ready", "kind": "photo", "type": "image/jpeg", "size": float64(len(file)), "sha256": hex.EncodeToString(sum[:]), "captured_at": "2026-11-22T07:04:05Z",
		"client_ref": "phone-1/1", "width": 500., "height": 700., "thumbnail": true, "file_has_place": true,
	} {
		if fmt.Sprint(got[key]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if p := got["place"].([]any); p[0].(float64) > 107.2062-0.003 || p[0].(float64) < 107.2062-0.01 { // GCJ-02 made WGS-84
		t.Errorf("place %v", p)
	}
	if n := st.count("SELECT count(*) FROM attachment WHERE captured_datum = 'gcj02' AND captured_lon = 107.2062 AND round(file_lat::numeric, 4) = 38.1838 AND round(file_lon::numeric, 4) = 107.4885"); n != 1 {
		t.Error("the raw pair, or the file's own place, is not kept")
	}
	st.servedWell(at, file, hall)

	after := st.get("/api/v1/incidents/"+id, worker)
	if !bytes.Equal(before.body, after.body) || before.header.Get("ETag") != after.header.Get("ETag") {
		t.Errorf("an attachment changed the incident: %s", after.body)
	}
	journal := st.get("/api/v1/incidents/"+id+"/journal", worker)
	if !strings.Contains(string(journal.body), `"kind":"attach"`) {
		t.Errorf("the journal does not tell of it: %s", journal.body)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'incident.attach' AND object = $1 AND data ->> 'sha256' = $2", "incident/"+id+"/attachment/1", hex.EncodeToString(sum[:])); n != 1 {
		t.Errorf("%d rows of the audit", n)
	}
	for what, a := range map[string]answer{
		"journal": journal, "list": st.get("/api/v1/incidents/"+id+"/attachments", hall), "audit": st.get("/api/v1/audit", st.token(auth.Auditor, "")),
		"incident": after, "features": st.call("GET", "/api/v1/incidents", hall, "", "Accept: application/geo+json"),
	} {
		noPlace(t, what, a)
	}
	if n := st.count("SELECT count(*) FROM feed WHERE shared::text LIKE '%38.18%' OR case_view::text LIKE '%38.18%'"); n != 0 {
		t.Error("the stream tells the photo's place")
	}
	if has, err := store.HasEvidence(t.Context(), st.s.db.Pool, 1); err != nil || !has {
		t.Errorf("the incident has evidence: %v, %v", has, err)
	}

	// Taken away: with a reason, kept in the journal.
	if a := st.call("DELETE", at, hall, ""); a.status != 422 {
		t.Errorf("without a reason: %d %s", a.status, a.body)
	}
	if a := st.call("DELETE", at+"?reason="+url.QueryEscape("拍到无关人员，予以撤下"), hall, ""); a.status != 204 {
		t.Fatalf("removed: %d %s", a.status, a.body)
	}
	if a := st.get(at+"/content", hall); a.status != 404 {
		t.Errorf("what was removed: %d", a.status)
	}
	if got := st.attachments(hall, id)[0]; got["state"] != "removed" || got["reason"] != "拍到无关人员，予以撤下" {
		t.Errorf("%v", got)
	}
	if j := st.get("/api/v1/incidents/"+id+"/journal", worker); !strings.Contains(string(j.body), `"kind":"detach"`) {
		t.Errorf("%s", j.body)
	}
	if has, err := store.HasEvidence(t.Context(), st.s.db.Pool, 1); err != nil || has {
		t.Errorf("what was removed is evidence: %v, %v", has, err)
	}
}

// servedWell looks at content and thumbnail of a photo that lies on its side.
func (st *stand) servedWell(at string, file []byte, token string) {
	t := st.t.(*testing.T)
	t.Helper()
	whole := st.get(at+"/content", token)
	noPlace(t, "content", whole)
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-store",
		"Accept-Ranges": "bytes", "Content-Length": fmt.Sprint(len(whole.body)),
	} {
		if whole.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, whole.header.Get(name), want)
		}
	}
	if d := whole.header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment; filename=") || strings.Contains(d, "IMG") {
		t.Errorf("Content-Disposition %q", d)
	}
	want, err1 := jpeg.Decode(bytes.NewReader(file))
	got, err2 := jpeg.Decode(bytes.NewReader(whole.body))
	if err1 != nil || err2 != nil || want.Bounds() != got.Bounds() || want.At(77, 55) != got.At(77, 55) {
		t.Errorf("the picture is another: %v, %v", err1, err2)
	}
	part := st.call("GET", at+"/content", token, "", "Range: bytes=100-199")
	if part.status != 206 || !bytes.Equal(part.body, whole.body[100:200]) || part.header.Get("Content-Range") != fmt.Sprintf("bytes 100-199/%d", len(whole.body)) {
		t.Errorf("a range: %d, %d bytes, %s", part.status, len(part.body), part.header.Get("Content-Range"))
	}
	if a := st.call("GET", at+"/content", token, "", "Range: bytes=99999999-"); a.status != 416 {
		t.Errorf("a range beyond the end: %d", a.status)
	}
	small := st.get(at+"/thumbnail", token)
	noPlace(t, "thumbnail", small)
	if img, err := jpeg.Decode(bytes.NewReader(small.body)); err != nil || img.Bounds() != image.Rect(0, 0, 228, 320) || small.header.Get("Content-Disposition") != "inline" {
		t.Errorf("the thumbnail is %v (%v), %v", img.Bounds(), err, small.header)
	}
}

// cutOff sends n bytes of a part that is said to be the whole file, and hangs up.
func (st *stand) cutOff(token, at string, file []byte, n int) {
	st.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(st.url, "http://"))
	if err != nil {
		st.t.Fatal(err)
	}
	fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: %d\r\n\r\n", at, token, len(file))
	if _, err := c.Write(file[:n]); err != nil {
		st.t.Fatal(err)
	}
	st.wait("byte of the part", func() bool { return st.offset(token, at) != "0" })
	_ = c.Close()
	st.wait("end of the request", func() bool {
		a := st.sendPart(token, at, 1<<30, nil)
		return !strings.Contains(string(a.body), "another request")
	})
}

// TestUploadsAreHeldToWhatTheyDeclared: names, sums, kinds, limits.
func TestUploadsAreHeldToWhatTheyDeclared(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	worker, other, hall := st.fieldWorker("W1"), st.fieldWorker("W2"), st.token(auth.HallOperator, "")
	id := st.ownIncident(worker)
	file := photo(t, 60, 40, "")
	at := st.attach(worker, id, "image/jpeg", file, "client_ref", "a")
	if again := st.attach(worker, id, "image/jpeg", file, "client_ref", "a"); again != at {
		t.Errorf("the same name again is %s, the first %s", again, at)
	}
	if a := st.beginUpload(worker, id, "image/png", file[2:]); a.status != 201 || a.header.Get("Upload-Expires") == "" || st.call("DELETE", a.header.Get("Location"), worker, "").status != 204 {
		t.Errorf("one without a name: %d %v", a.status, a.header)
	}
	if a := st.beginUpload(worker, id, "image/jpeg", file[1:], "client_ref", "a"); a.status != 422 {
		t.Errorf("the same name for another file: %d %s", a.status, a.body)
	}
	if a := st.beginUpload(other, id, "image/jpeg", file); a.status != 404 {
		t.Errorf("to another's incident: %d", a.status)
	}
	for what, a := range map[string]answer{"HEAD": st.call("HEAD", at, hall, ""), "PATCH": st.sendPart(hall, at, 0, file), "POST": st.beginUpload(hall, id, "image/jpeg", file)} {
		if a.status != 403 {
			t.Errorf("%s by the hall: %d", what, a.status)
		}
	}

	// Sums of parts.
	half := file[:len(file)/2]
	sum := func(b []byte) string {
		s := sha1.Sum(b)
		return "Upload-Checksum: sha1 " + base64.StdEncoding.EncodeToString(s[:])
	}
	if a := st.sendPart(worker, at, 0, half, sum(file)); a.status != 460 || a.header.Get("Upload-Offset") != "0" || st.offset(worker, at) != "0" {
		t.Errorf("a part with a wrong sum: %d %s, then %s", a.status, a.body, st.offset(worker, at))
	}
	if a := st.sendPart(worker, at, 0, half, sum(half)); a.status != 204 || a.header.Get("Upload-Offset") != fmt.Sprint(len(half)) {
		t.Errorf("a part with its sum: %d %s", a.status, a.body)
	}
	if a := st.call("DELETE", at, worker, ""); a.status != 204 || st.offset(worker, at) != "status 410" {
		t.Errorf("given up: %d, then %s", a.status, st.offset(worker, at))
	}
	if _, err := os.Stat(filepath.Join(st.s.o.Data, "attachments", "partial", id+"-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its part is left: %v", err)
	}

	// What does not hold what it says.
	whole := func(kind string, file []byte, more ...string) answer {
		return st.sendPart(worker, st.attach(worker, id, kind, file, more...), 0, file)
	}
	at = st.attach(worker, id, "image/jpeg", file, "client_ref", "b")
	wrong := bytes.Clone(file)
	wrong[len(wrong)/2] ^= 1
	if a := st.sendPart(worker, at, 0, wrong); a.status != 422 || !strings.Contains(string(a.body), "SHA-256") || st.offset(worker, at) != "status 410" {
		t.Errorf("other bytes than declared: %d %s", a.status, a.body)
	}
	if again := st.attach(worker, id, "image/jpeg", file, "client_ref", "b"); again == at {
		t.Error("what was refused cannot be begun anew")
	} else if a := st.sendPart(worker, again, 0, file); a.status != 204 {
		t.Errorf("begun anew: %d %s", a.status, a.body)
	}
	for what, c := range map[string]struct {
		kind string
		file []byte
		says string
	}{
		"a page":              {"image/jpeg", []byte("<!doctype html><script>alert(1)</script>"), "not taken"},
		"a photo as a film":   {"video/mp4", file, "is a photo"},
		"a photo cut off":     {"image/jpeg", file[:len(file)-9], "cut off"},
		"a zip":               {"audio/mpeg", append([]byte("PK\x03\x04"), make([]byte, 90)...), "not taken"},
		"a picture of 4 Gpix": {"image/jpeg", huge(file), "million pixels"},
	} {
		if a := whole(c.kind, c.file); a.status != 422 || !strings.Contains(string(a.body), c.says) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	for _, i := range st.attachments(hall, id) {
		if i["state"] == "refused" && i["refusal"] == nil {
			t.Errorf("refused without a word: %v", i)
		}
	}

	// What cannot begin.
	post := func(headers ...string) answer {
		return st.call("POST", "/api/v1/incidents/"+id+"/attachments", worker, "", headers...)
	}
	meta := "Upload-Metadata: " + said("image/jpeg", file)
	for what, c := range map[string]struct {
		a    answer
		want int
	}{
		"no length":            {post(meta), 400},
		"no metadata":          {post("Upload-Length: 9"), 415},
		"another protocol":     {post("Upload-Length: 9", meta, "Tus-Resumable: 0.2.2"), 412},
		"a photo of 9 MiB":     {post("Upload-Length: 9437184", meta), 413},
		"a film of 51 MiB":     {post("Upload-Length: 53477376", "Upload-Metadata: "+said("video/mp4", file)), 413},
		"HEIC":                 {post("Upload-Length: 9", "Upload-Metadata: "+said("image/heic", file)), 415},
		"a place of no datum":  {post("Upload-Length: 9", "Upload-Metadata: "+said("image/jpeg", file, "lon", "107", "lat", "38")), 400},
		"a place of no earth":  {post("Upload-Length: 9", "Upload-Metadata: "+said("image/jpeg", file, "lon", "38", "lat", "107", "crs", "wgs84")), 422},
		"an unknown key":       {post("Upload-Length: 9", "Upload-Metadata: "+said("image/jpeg", file, "uploader", "x")), 400},
		"a key twice":          {post("Upload-Length: 9", "Upload-Metadata: "+said("image/jpeg", file, "sha256", "x")), 400},
		"a part without type":  {st.call("PATCH", at, worker, "x", "Content-Type: text/plain", "Upload-Offset: 0"), 415},
		"a part without place": {st.call("PATCH", at, worker, "x", "Content-Type: application/offset+octet-stream"), 400},
	} {
		if c.a.status != c.want {
			t.Errorf("%s: %d %s, want %d", what, c.a.status, c.a.body, c.want)
		}
	}
	for i := range 6 { // one is ready already
		a := st.beginUpload(worker, id, "image/png", fmt.Append(nil, "file ", i))
		if want := map[bool]int{true: 201, false: 422}[i < 5]; a.status != want {
			t.Errorf("photo %d: %d %s", i+2, a.status, a.body)
		}
	}
	if a := st.beginUpload(worker, id, "audio/amr", []byte("a recording")); a.status != 201 {
		t.Errorf("a recording beside them: %d %s", a.status, a.body)
	}
	st.exec("UPDATE attachment SET begun_at = begun_at - interval '1 day'")
	st.exec("INSERT INTO attachment (incident_id, n, uploader, begun_at, kind, declared_type, size, sha256) SELECT $1, 1000 + i, uploader, now(), 'voice', 'audio/amr', 1, sha256 FROM attachment, generate_series(1, 200) i WHERE incident_id = $1 AND n = 1", id)
	if a := st.beginUpload(worker, st.ownIncident(worker), "image/png", file); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("the 201st of a day: %d %s", a.status, a.body)
	}
}
