// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// How new passwords and PINs are hashed: of the choices that OWASP's Password
// Storage Cheat Sheet calls equal, the one with the least memory, argon2id with
// 7 MiB, five passes and one lane. One check takes that memory, and leaves it to
// be collected as garbage: guessers must not keep the collector busy. The caller
// bounds how many checks run at once.
const (
	hashMemory = 7 * 1024 // KiB
	hashPasses = 5
	hashLanes  = 1
	saltBytes  = 16
	hashBytes  = 32
)

// What a stored hash may ask for at most; a stronger one is refused unread.
const (
	maxHashMemory = 64 * 1024 // KiB
	maxHashPasses = 10
	maxHashLanes  = 4
)

const (
	minPassword      = 10
	maxPassword      = 128
	maxPasswordBytes = 2048 // before it is normalised; longer ones are not looked at
)

// Why a password or PIN is refused when it is chosen.
var (
	ErrPasswordText   = errors.New("the password is not valid text")
	ErrPasswordLength = errors.New("a password has 10 to 128 characters")
	ErrPasswordLogin  = errors.New("the password contains the login")
	ErrPasswordCommon = errors.New("this password is among the commonest")
	ErrPIN            = errors.New("a PIN has 4 to 8 digits, not all the same and not counting up or down")
)

// DummyHash is a hash that no password has. Who checks it for a login that does
// not exist spends the same time as for one that does.
const DummyHash = "$argon2id$v=19$m=7168,t=5,p=1$c2FsdCBvZiBub2JvZHkhIQ$uJ0m4Wl8pYk3nT6cQvZ2aRxE5sHfLdGo7iBqKjXwP1A"

// HashPassword returns the salted hash of a password or a PIN as a PHC string
// ($argon2id$v=19$m=..,t=..,p=..$salt$hash). The text is brought to Unicode form
// NFC first, so that it is the same from every keyboard. rnd gives the salt.
func HashPassword(text string, rnd io.Reader) (string, error) {
	if len(text) > maxPasswordBytes || !utf8.ValidString(text) {
		return "", ErrPasswordText
	}
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(rnd, salt); err != nil {
		return "", fmt.Errorf("auth: salt: %w", err)
	}
	sum := argon2.IDKey(norm.NFC.Bytes([]byte(text)), salt, hashPasses, hashMemory, hashLanes, hashBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashLanes,
		b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

// CheckPassword reports whether text is the password or PIN of a PHC string. It
// takes the same time for every text. A string that is not argon2id, or that asks
// for more than 64 MiB or ten passes, has no password.
func CheckPassword(phc, text string) bool {
	p, ok := parsePHC(phc)
	if !ok || len(text) > maxPasswordBytes {
		return false
	}
	sum := argon2.IDKey(norm.NFC.Bytes([]byte(text)), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.sum)))
	return subtle.ConstantTimeCompare(sum, p.sum) == 1
}

// phc is a PHC string taken apart.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

func parsePHC(s string) (p phc, ok bool) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != "v=19" {
		return p, false
	}
	cost := strings.Split(part[3], ",")
	if len(cost) != 3 {
		return p, false
	}
	memory, passes, lanes := parameter(cost[0], "m="), parameter(cost[1], "t="), parameter(cost[2], "p=")
	if lanes < 1 || lanes > maxHashLanes || passes < 1 || passes > maxHashPasses || memory < 8*lanes || memory > maxHashMemory {
		return p, false
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, err := b64.DecodeString(part[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return p, false
	}
	sum, err := b64.DecodeString(part[5])
	if err != nil || len(sum) < 16 || len(sum) > 64 {
		return p, false
	}
	return phc{memory: uint32(memory), passes: uint32(passes), lanes: uint8(lanes), salt: salt, sum: sum}, true
}

// parameter reads "m=7168"; 0 for anything else.
func parameter(s, name string) int64 {
	digits, ok := strings.CutPrefix(s, name)
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil {
		return 0
	}
	return int64(n)
}

// ValidPassword says why text can't become the password of login; nil if it can.
// There is no rule on kinds of characters: length is what counts.
func ValidPassword(login, text string) error {
	if len(text) > maxPasswordBytes {
		return ErrPasswordLength
	}
	if !utf8.ValidString(text) {
		return ErrPasswordText
	}
	if n := utf8.RuneCountInString(norm.NFC.String(text)); n < minPassword || n > maxPassword {
		return ErrPasswordLength
	}
	plain, name := plainly(text), plainly(login)
	if n := utf8.RuneCountInString(name); n >= 3 && strings.Contains(plain, name) { // a login "a" would refuse nearly all
		return ErrPasswordLogin
	}
	if slices.Contains(commonest, plain) {
		return ErrPasswordCommon
	}
	return nil
}

// plainly is s without the differences of case and width that don't make a
// password harder to guess.
func plainly(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

// ValidPIN says why text can't become a PIN; nil if it can.
func ValidPIN(text string) error {
	if len(text) < 4 || len(text) > 8 {
		return ErrPIN
	}
	steps := map[int]int{} // how often the next digit is so many more, 9 going on to 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return ErrPIN
		}
		if i > 0 {
			steps[(int(text[i])-int(text[i-1])+10)%10]++
		}
	}
	for _, step := range []int{0, 1, 9} {
		if steps[step] == len(text)-1 {
			return ErrPIN
		}
	}
	return nil
}

// commonest are the passwords of ten and more characters that stand high in the
// published lists of leaked ones, Chinese ones among them, and those that this
// product's name and trade suggest. In small letters.
var commonest = strings.Fields(`
0000000000 1111111111 6666666666 8888888888 9999999999 0123456789 1234567890 0987654321 9876543210 12345678900
12345678901 12345678910 1234567891 1234567899 123456789123 1234567890123 1234512345 1234554321 123456123456
123456654321 1231231231 123123123123 1122334455 112233445566 1029384756 1357924680 1472583690 7894561230 9638527410
3141592653 3141592654 1123581321 1212121212 1010101010 4815162342 123456789a 123456789q 123456789z 123456789.
123456789qq 123456789abc a123456789 q123456789 w123456789 z123456789 aa12345678 aa123456789 qq123456789 qq1234567890
aa@12345678 aa@123456789 abc1234567 abc12345678 abc123456789 abcd123456 abcd12345678 abcdefghij abcdefg123 asdf123456
asdfghjkl1 asdfghjkl123 asdfasdfasdf qwertyuiop qwertyuiop123 qwerty1234 qwerty12345 qwerty123456 qwert12345 12345qwert
qwer123456 1q2w3e4r5t 1q2w3e4r5t6y q1w2e3r4t5 q1w2e3r4t5y6 1qaz2wsx3edc 1qazxsw23edc qazwsxedcrfv qazwsx123456
123qweasdzxc qweasdzxc123 zxcvbnm123 zxcvbnm123456 password12 password123 password1234 password12345 password123456
password@1 password@123 passw0rd123 p@ssw0rd123 p@ssword123 passwordpassword admin12345 admin123456 admin@1234 admin@12345
admin@123456 adminadmin administrator root123456 test123456 user123456 guest123456 welcome123 welcome@123 changeme123
letmein123 iloveyou12 iloveyou123 iloveyou1314 iloveyou520 sunshine123 football123 basketball liverpool1 manchester
chocolate1 5201314520 5201314123 1314520520 1314521521 5845201314 5845211314 5841314520 5841314521 5211314521 52013141314
52013145201314 7708801314520 7758521521 woaini1314 woaini123456 woaini5201314 woaini1234 woaiwojia123 woaizhongguo
woshishui123 beijing2008 zhongguo123 zhongguo2008 wang123456 zhang123456 chen123456 yang123456 huang123456 nihao123456
neimenggu123 neimenggu1 wangge12345 wangge123456 wanggeyuan wanggeyuan123 zongzhi123 zongzhi123456 zongzhiban
onemap1234 onemap12345 onemap123456 onemaponemap`)
