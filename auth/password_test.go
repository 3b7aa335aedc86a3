// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"onemap/auth"
)

func hashOf(t testing.TB, text string) string {
	t.Helper()
	phc, err := auth.HashPassword(text, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return phc
}

func TestPasswordOpensOnlyItsOwnHash(t *testing.T) {
	phc := hashOf(t, "correct horse battery")
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=7168,t=5,p=1$") {
		t.Errorf("hash %q is not argon2id with OWASP's parameters", phc)
	}
	if !auth.CheckPassword(phc, "correct horse battery") {
		t.Error("the password does not open its own hash")
	}
	for _, wrong := range []string{"", "correct horse batterx", "correct horse battery ", "Correct horse battery", strings.Repeat("a", 1<<20)} {
		if auth.CheckPassword(phc, wrong) {
			t.Errorf("%.30q opens the hash of another", wrong)
		}
	}
	if again := hashOf(t, "correct horse battery"); again == phc {
		t.Error("two hashes of one password are the same: no salt")
	}
}

func TestPasswordIsTheSameFromEveryKeyboard(t *testing.T) {
	composed, decomposed := "caf\u00e9 caf\u00e9 ok", "cafe\u0301 cafe\u0301 ok"
	if !auth.CheckPassword(hashOf(t, composed), decomposed) || !auth.CheckPassword(hashOf(t, decomposed), composed) {
		t.Error("composed and decomposed accents are two passwords")
	}
}

func TestHashIsCheckedWithItsOwnParameters(t *testing.T) {
	salt := []byte("12345678")
	sum := argon2.IDKey([]byte("old password"), salt, 3, 64, 2, 16)
	b64 := base64.RawStdEncoding.EncodeToString
	phc := "$argon2id$v=19$m=64,t=3,p=2$" + b64(salt) + "$" + b64(sum)
	if !auth.CheckPassword(phc, "old password") || auth.CheckPassword(phc, "new password") {
		t.Error("a hash with other parameters is not checked with them")
	}
}

func TestHashThatAsksTooMuchOrIsBrokenOpensNothing(t *testing.T) {
	salt, sum := "MTIzNDU2Nzg", base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte("x"), []byte("12345678"), 1, 64, 1, 16))
	if !auth.CheckPassword("$argon2id$v=19$m=64,t=1,p=1$"+salt+"$"+sum, "x") {
		t.Fatal("the sound one is refused")
	}
	for _, phc := range []string{
		"", "$", "x", "$argon2id$v=19$m=64,t=1,p=1$" + salt, "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + sum + "$",
		"$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + sum, "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=65537,t=1,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=4294967360,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=11,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + sum, "$argon2id$v=19$m=64,t=1,p=257$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1$" + salt + "$" + sum, "$argon2id$v=19$m=+64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$t=1,m=64,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=64,t=1,p=1$$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + sum + "=",
	} {
		if auth.CheckPassword(phc, "x") {
			t.Errorf("%q opens", phc)
		}
	}
}

func TestDummyHashCostsWhatARealOneCosts(t *testing.T) {
	dummy, phc := strings.Split(auth.DummyHash, "$"), strings.Split(hashOf(t, "any password"), "$")
	for i, part := range phc {
		if i < 4 && dummy[i] != part || len(dummy[i]) != len(part) {
			t.Errorf("part %d of the dummy is %q, of a real one %q", i, dummy[i], part)
		}
	}
	for _, s := range dummy[4:] {
		if _, err := base64.RawStdEncoding.Strict().DecodeString(s); err != nil {
			t.Errorf("the dummy is refused unread: %q: %v", s, err)
		}
	}
	if auth.CheckPassword(auth.DummyHash, "") || auth.CheckPassword(auth.DummyHash, "password") {
		t.Error("the dummy has a password")
	}
}

func TestHashPasswordRefusesWhatItCannotKeep(t *testing.T) {
	if _, err := auth.HashPassword("a\xff", rand.Reader); !errors.Is(err, auth.ErrPasswordText) {
		t.Errorf("broken text: %v", err)
	}
	if _, err := auth.HashPassword(strings.Repeat("a", 4096), rand.Reader); !errors.Is(err, auth.ErrPasswordText) {
		t.Errorf("endless text: %v", err)
	}
	if _, err := auth.HashPassword("1379", bytes.NewReader(make([]byte, 15))); err == nil {
		t.Error("a hash with half a salt")
	}
}

func TestValidPassword(t *testing.T) {
	for _, c := range []struct {
		login, text string
		want        error
	}{
		{"banner01", "blue wolf runs", nil},
		{"banner01", "草原上的风吹过敖包山", nil}, // ten characters, thirty bytes
		{"banner01", "草原上的风吹过敖包", auth.ErrPasswordLength},
		{"banner01", "a short1!", auth.ErrPasswordLength},
		{"banner01", strings.Repeat("草原", 64), nil},
		{"banner01", strings.Repeat("草原", 64) + "风", auth.ErrPasswordLength},
		{"banner01", strings.Repeat("a", 1<<20), auth.ErrPasswordLength},
		{"banner01", strings.Repeat("e\u0301", 9), auth.ErrPasswordLength}, // nine as one sees them
		{"banner01", "broken \xff text", auth.ErrPasswordText},
		{"banner01", "my BANNER01 pass", auth.ErrPasswordLogin},
		{"banner01", "my ｂａｎｎｅｒ０１ pass", auth.ErrPasswordLogin},
		{"a", "a banner of grass", nil}, // too short a login to look for
		{"", "blue wolf runs", nil},
		{"banner01", "1234567890", auth.ErrPasswordCommon},
		{"banner01", "Password123", auth.ErrPasswordCommon},
		{"banner01", "woaini1314", auth.ErrPasswordCommon},
		{"banner01", "１２３４５６７８９０", auth.ErrPasswordCommon},
	} {
		if got := auth.ValidPassword(c.login, c.text); !errors.Is(got, c.want) {
			t.Errorf("ValidPassword(%q, %.40q) = %v, want %v", c.login, c.text, got, c.want)
		}
	}
}

func TestValidPIN(t *testing.T) {
	for _, pin := range []string{"1379", "0000001", "1122", "12345679", "90210", "2468"} {
		if err := auth.ValidPIN(pin); err != nil {
			t.Errorf("%s: %v", pin, err)
		}
	}
	for _, pin := range []string{"", "137", "137913791", "12a4", "１３７９", "1111", "88888888", "1234", "23456789", "4321", "98765", "7890", "0987", "-379", "13 79"} {
		if auth.ValidPIN(pin) == nil {
			t.Errorf("%q is taken", pin)
		}
	}
}

func BenchmarkCheckPassword(b *testing.B) {
	phc := hashOf(b, "correct horse battery")
	b.ReportAllocs()
	for b.Loop() {
		if !auth.CheckPassword(phc, "correct horse battery") {
			b.Fatal("refused")
		}
	}
}
