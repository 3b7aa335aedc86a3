// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
)

// TestWrongSecretsShutOutNobodyElse: a device with an ended token that asks again
// and again must not take the hall behind the same address with it.
func TestWrongSecretsShutOutNobodyElse(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Now: clock.now, Limits: api.Limits{WrongSecrets: 5}})
	op, fresh := st.token(auth.HallOperator, ""), st.token(auth.Dispatcher, "")
	if a := st.get("/api/v1/incidents", op); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for i := range 8 {
		st.get("/api/v1/incidents", fmt.Sprint("wrong", i))
	}
	clock.move(2 * time.Second) // what was looked up a moment ago is forgotten
	if a := st.get("/api/v1/incidents", op); a.status != 200 {
		t.Errorf("a desk beside the guesser: %d %s", a.status, a.body)
	}
	if a := st.report(op, 107.2, 38.2); a.status != 201 {
		t.Errorf("its report: %d %s", a.status, a.body)
	}
	if a := st.get("/api/v1/incidents", fresh); a.status != 200 {
		t.Errorf("a token never seen before: %d %s", a.status, a.body)
	}
}
