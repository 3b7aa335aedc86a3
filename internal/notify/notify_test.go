// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestANotifierGoesToAllowedHostsAlone(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, ok := range map[string]bool{
		"https://sms.example/x": true, "https://sms.example:8443/x": true, "http://127.0.0.1:9/x": true,
		"http://sms.example/x": false, "https://other.example/x": false, "https://me@sms.example/x": false, "ftp://sms.example/x": false, "sms.example": false,
		"https://sms.example.evil/x": false, "http://10.0.0.1/x": false,
	} {
		_, err := New(Options{URL: address, Hosts: []string{"sms.example", "127.0.0.1", "10.0.0.1"}, KeyFile: key})
		if ok != (err == nil) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := New(Options{URL: "https://sms.example/x", Hosts: []string{"sms.example"}}); err == nil {
		t.Error("without a key")
	}
}
