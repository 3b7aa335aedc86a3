// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"image/png"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/auth"
)

// rfcSecret is the secret of the test vectors in RFC 6238, appendix B.
var rfcSecret = base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))

func TestCodesAreThoseOfRFC6238(t *testing.T) {
	for _, c := range []struct {
		at   int64
		code string // the RFC's eight digits
	}{
		{59, "94287082"},
		{1111111109, "07081804"},
		{1111111111, "14050471"},
		{1234567890, "89005924"},
		{2000000000, "69279037"},
		{20000000000, "65353130"},
	} {
		step, ok := auth.CheckTOTP(rfcSecret, c.code[2:], time.Unix(c.at, 0), 0)
		if !ok || step != c.at/30 {
			t.Errorf("at %d the code %s is of step %d, %t; want %d", c.at, c.code[2:], step, ok, c.at/30)
		}
	}
}

func TestCodeHoldsForItsStepAndTheTwoBesideIt(t *testing.T) {
	const code, step = "005924", 1234567890 / 30 // that second is the first of its step
	start := time.Unix(step*30, 0)
	for _, c := range []struct {
		after time.Duration
		ok    bool
	}{
		{-31 * time.Second, false},
		{-30 * time.Second, true},
		{0, true},
		{29 * time.Second, true},
		{59 * time.Second, true},
		{60 * time.Second, false},
	} {
		if got, ok := auth.CheckTOTP(rfcSecret, code, start.Add(c.after), 0); ok != c.ok || ok && got != step {
			t.Errorf("%v from the start of its step: step %d, %t; want %t", c.after, got, ok, c.ok)
		}
	}
}

func TestCodeIsTakenOnce(t *testing.T) {
	const code, step = "005924", 1234567890 / 30
	now := time.Unix(1234567890, 0)
	if _, ok := auth.CheckTOTP(rfcSecret, code, now, step-1); !ok {
		t.Error("a code after an older one is refused")
	}
	for _, last := range []int64{step, step + 1} {
		if _, ok := auth.CheckTOTP(rfcSecret, code, now, last); ok {
			t.Errorf("after step %d the code of step %d is taken", last, step)
		}
	}
}

func TestCodeThatIsNoCode(t *testing.T) {
	now := time.Unix(1234567890, 0)
	if _, ok := auth.CheckTOTP(rfcSecret, " 005 924 ", now, 0); !ok {
		t.Error("a code with blanks is refused")
	}
	for _, code := range []string{"", "5924", "00592", "0059240", "005925", "89005924", "００５９２４", strings.Repeat(" ", 1<<20) + "005924"} {
		if _, ok := auth.CheckTOTP(rfcSecret, code, now, 0); ok {
			t.Errorf("%.20q is taken", code)
		}
	}
	for _, secret := range []string{"not base32!", "1"} {
		if _, ok := auth.CheckTOTP(secret, "005924", now, 0); ok {
			t.Errorf("the secret %q has a code", secret)
		}
	}
}

func TestNewTOTPTellsThePhoneAllItNeeds(t *testing.T) {
	f, err := auth.NewTOTP("综治中心 OneMap", "banner 01", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(f.URI)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/综治中心 OneMap:banner 01" || q.Get("secret") != f.Secret ||
		q.Get("issuer") != "综治中心 OneMap" || q.Get("period") != "30" || q.Get("digits") != "6" || q.Get("algorithm") != "SHA1" {
		t.Errorf("URI %q", f.URI)
	}
	if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(f.Secret); err != nil || len(raw) != 20 {
		t.Errorf("secret %q: %d bytes, %v", f.Secret, len(raw), err)
	}
	if _, err := auth.NewTOTP("OneMap", "banner01", bytes.NewReader(nil)); err == nil {
		t.Error("a secret without randomness")
	}
}

func TestPictureOfASecondFactorHasAWhiteMargin(t *testing.T) {
	f, err := auth.NewTOTP("OneMap", "banner01", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(f.QR))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 256 || b.Dy() != 256 {
		t.Fatalf("%v, want 256 by 256", b)
	}
	black := 0
	for y := range 256 {
		for x := range 256 {
			if r, _, _, _ := img.At(x, y).RGBA(); r == 0 {
				black++
				if min(x, y, 255-x, 255-y) < 16 {
					t.Fatalf("black at %d, %d", x, y)
				}
			}
		}
	}
	if black < 8_000 || black > 32_000 {
		t.Errorf("%d black pixels are no code", black)
	}
}

func TestWhoNeedsASecondFactor(t *testing.T) {
	need := []auth.Role{auth.SystemAdmin, auth.SecurityAdmin, auth.Auditor, auth.CountyLeader, auth.Dispatcher}
	for _, r := range auth.Roles {
		if got := auth.NeedsSecondFactor(r); got != slices.Contains(need, r) {
			t.Errorf("%s: %t", r, got)
		}
	}
}
