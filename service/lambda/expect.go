package lambda

import (
	"slices"

	"github.com/enfold-run/enfold/store"
)

// expectAtStart is of how many functions the worker is told, when the server starts, that they are likely to be invoked.
const expectAtStart = 100

// recentVersions are the versions that were modified last, the latest first, and no more than expectAtStart.
type recentVersions []recentVersion

type recentVersion struct {
	scope   store.Scope
	version *version
}

// add takes v in if it is recent enough. It keeps v.
func (all *recentVersions) add(sc store.Scope, v *version) {
	i, _ := slices.BinarySearchFunc(*all, v, func(have recentVersion, v *version) int {
		return v.Modified.Compare(have.version.Modified)
	})
	if i == expectAtStart {
		return
	}
	*all = slices.Insert(*all, i, recentVersion{sc, v})
	if len(*all) > expectAtStart {
		*all = (*all)[:expectAtStart]
	}
}
