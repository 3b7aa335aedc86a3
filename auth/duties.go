// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

// What stands beside the policy's table: duties of several people that no single
// cell says.

// MayMakeAccounts is who makes accounts. A security administrator is among them,
// for the first system administrator.
func MayMakeAccounts(a Actor) (Decision, error) {
	if a.Role == SecurityAdmin {
		return Decide(a, Write, GrantData)
	}
	return Decide(a, Write, Account)
}

// MayDisableAccounts is who disables accounts: who makes them, and who revokes
// rights; not a town.
func MayDisableAccounts(a Actor) (Decision, error) {
	if a.Role == TownOperator {
		return Decision{}, ErrForbidden
	}
	return MayMakeAccounts(a)
}

// MayRevokeGrants is who ends rights: not a town, which only proposes them.
func MayRevokeGrants(a Actor) (Decision, error) {
	if a.Role == TownOperator {
		return Decision{}, ErrForbidden
	}
	return Decide(a, Write, GrantData)
}

// TownMayPropose reports whether a town may propose the role.
func TownMayPropose(r Role) bool { return r == VillageHead || r == GridWorker }

// TwoAgree reports whether a role's grant needs a security and a system
// administrator, two different people.
func TwoAgree(r Role) bool { return r == CountyLeader || r == Auditor }
