// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// LayerAccess is who may see a named layer, of those whom the policy shows named
// layers at all: some roles by name, or SignedIn, or Walls. nil is nobody.
type LayerAccess []string

// The words of a LayerAccess that are no roles. Each stands alone.
const (
	SignedIn = "signed_in" // every role but the walls
	Walls    = "walls"     // everybody, the walls too
)

// CheckLayerAccess says what is wrong with an access. A role that the policy shows
// no named layer may not be named: it would stay without.
func CheckLayerAccess(access LayerAccess) error {
	if len(access) == 0 {
		return errors.New("access: say signed_in, walls, or roles")
	}
	for i, w := range access {
		switch {
		case w == SignedIn || w == Walls:
			if len(access) > 1 {
				return fmt.Errorf("access: %s stands alone", w)
			}
		case !slices.Contains(layerRoles(), Role(w)):
			return fmt.Errorf("access: %.40q is not signed_in, walls, or one of the roles %v", w, layerRoles())
		case slices.Contains(access[:i], w):
			return fmt.Errorf("access: %s stands there twice", w)
		}
	}
	return nil
}

// layerRoles are the roles that the policy shows named layers.
func layerRoles() (roles []Role) {
	for i, r := range policy[subject{NamedLayer, Read}] {
		if r.reach != Nothing {
			roles = append(roles, Roles[i])
		}
	}
	return roles
}

// ParseLayerAccess reads an access of words with commas between.
func ParseLayerAccess(text string) (LayerAccess, error) {
	var access LayerAccess
	for w := range strings.SplitSeq(text, ",") {
		access = append(access, strings.TrimSpace(w))
	}
	return access, CheckLayerAccess(access)
}

// LayerShownTo reports whether an access lets a role see a layer.
func LayerShownTo(r Role, access LayerAccess) bool {
	return slices.Contains(access, Walls) || slices.Contains(access, string(r)) || r != Wall && slices.Contains(access, SignedIn)
}

// DecideLayer is Decide for reading a named layer: the policy's row, the layer's
// own access, and of a wall the set of layers it was given. Errors: those of Decide.
func DecideLayer(a Actor, code string, access LayerAccess) (Decision, error) {
	d, err := Decide(a, Read, NamedLayer)
	if err != nil || d.Scope.All() {
		return d, err
	}
	if !LayerShownTo(a.Role, access) || a.layers != nil && !slices.Contains(a.layers, Resource("layer_"+code)) {
		return Decision{}, ErrForbidden
	}
	return d, nil
}
