// A program that has every map function of its Go version in it, for `cargo xtask go-layout` to look into.
package main

import "os"

type object struct{ next *object }

type wide struct{ a, b, c uint64 }

// Looks up, inserts and deletes in each way that the compiler has a function for.
func use[K comparable](m map[K]int, key K) int {
	sum := m[key]
	if value, ok := m[key]; ok {
		sum += value
	}
	m[key] = sum
	m[key]++
	delete(m, key)
	return sum + len(m)
}

// The same for interfaces, which Go 1.19 does not take for comparable.
func useAny(m map[any]int, key any) int {
	sum := m[key]
	if value, ok := m[key]; ok {
		sum += value
	}
	m[key] = sum
	delete(m, key)
	return sum + len(m)
}

var (
	by32      = map[uint32]int{}
	by64      = map[uint64]int{}
	byPointer = map[*object]int{}
	byString  = map[string]int{}
	byAny     = map[any]int{}
	byWide    = map[wide]int{}
)

func main() {
	n := len(os.Args)
	sum := use(by32, uint32(n)) + use(by64, uint64(n)) + use(byPointer, &object{}) + use(byString, os.Args[0]) +
		useAny(byAny, n) + use(byWide, wide{a: uint64(n)})
	sum += by32[uint32(n)] + by64[uint64(n)] + byPointer[nil] + byString[os.Args[0]] + byAny[n] + byWide[wide{}]
	os.Exit(sum & 1)
}
