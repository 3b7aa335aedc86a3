// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// TOTP is a new second factor: what a person's phone has to be told, once.
type TOTP struct {
	Secret string // base32; to be kept sealed
	URI    string // otpauth://...; holds the secret
	QR     []byte // the URI as a PNG of 256 by 256 pixels
}

// Codes are those of RFC 6238 that every app knows: six digits, SHA-1, 30 s.
const (
	totpPeriod = 30
	qrSize     = 256
	qrMargin   = 24 // of white, without which many phones don't find the code
)

// NewTOTP makes a second factor for login. issuer is the name that the app shows
// beside it. rnd gives the secret.
func NewTOTP(issuer, login string, rnd io.Reader) (TOTP, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: login, Period: totpPeriod, SecretSize: 20, Rand: rnd})
	if err != nil {
		return TOTP{}, fmt.Errorf("auth: second factor: %w", err)
	}
	code, err := key.Image(qrSize-2*qrMargin, qrSize-2*qrMargin)
	if err != nil {
		return TOTP{}, fmt.Errorf("auth: second factor as a picture: %w", err)
	}
	page := image.NewPaletted(image.Rect(0, 0, qrSize, qrSize), color.Palette{color.White, color.Black})
	draw.Draw(page, code.Bounds().Add(image.Pt(qrMargin, qrMargin)), code, code.Bounds().Min, draw.Src)
	var picture bytes.Buffer
	if err := png.Encode(&picture, page); err != nil {
		return TOTP{}, fmt.Errorf("auth: second factor as a picture: %w", err)
	}
	return TOTP{Secret: key.Secret(), URI: key.URL(), QR: picture.Bytes()}, nil
}

// CheckTOTP reports whether code is the secret's code of now, of the step before
// or of the step after, and which step it is of. A step is taken once: the caller
// keeps the step it took and gives it as lastStep the next time, 0 at first; codes
// of that step and of all earlier ones are refused. Blanks in code don't matter.
func CheckTOTP(secret, code string, now time.Time, lastStep int64) (step int64, ok bool) {
	if len(code) > 32 {
		return 0, false
	}
	code = strings.ReplaceAll(code, " ", "")
	current := now.Unix() / totpPeriod
	for s := current - 1; s <= current+1; s++ {
		want, err := totp.GenerateCodeCustom(secret, time.Unix(s*totpPeriod, 0), totp.ValidateOpts{
			Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
		})
		if err != nil {
			return 0, false
		}
		// Of two steps with the same code it is the later one, so that neither comes again.
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && s > lastStep {
			step, ok = s, true
		}
	}
	return step, ok
}

// NeedsSecondFactor reports whether an account of this role signs in with a code
// of its phone besides the password.
func NeedsSecondFactor(r Role) bool {
	return slices.Contains([]Role{Dispatcher, CountyLeader, SystemAdmin, SecurityAdmin, Auditor}, r)
}
