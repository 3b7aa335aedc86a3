// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds only tests: they build the real program, start it as a user
// would, on a private database of its own, and look at it from outside through
// HTTP, the live stream, the command line and a real browser. They also kill it.
package e2e
