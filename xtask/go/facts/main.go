// Prints what the sources of a Go toolchain say about the packages named as arguments: constants, the offsets and sizes of
// struct fields on linux/amd64, functions with their parameters. Reads from standard input the packages in the order of
// their dependencies, one a line, as `go list -deps` prints them: import path, folder, files. The output is JSON.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

// How deep fields of fields are listed.
const depth = 3

type constantFact struct {
	Value string `json:"value"`
	File  string `json:"file"`
}

type structFact struct {
	File   string              `json:"file"`
	Size   int64               `json:"size"`
	Fields map[string][2]int64 `json:"fields"` // offset and size
}

type funcFact struct {
	File       string   `json:"file"`
	Parameters []string `json:"parameters"`
}

type packageFacts struct {
	Constants map[string]constantFact `json:"constants"`
	Structs   map[string]structFact   `json:"structs"`
	Functions map[string]funcFact     `json:"functions"`
}

var (
	files    = token.NewFileSet()
	sizes    = types.SizesFor("gc", "amd64")
	packages = map[string]*types.Package{"unsafe": types.Unsafe}
)

type importer struct{}

func (importer) Import(path string) (*types.Package, error) {
	// The standard library's own copies of other modules.
	for _, name := range []string{path, "vendor/" + path} {
		if found := packages[name]; found != nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%s is not in the list", path)
}

func main() {
	wanted := map[string]bool{}
	for _, path := range os.Args[1:] {
		wanted[path] = true
	}
	facts := map[string]packageFacts{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] == "unsafe" {
			continue
		}
		found := check(words[0], words[1], words[2:])
		if wanted[words[0]] {
			facts[words[0]] = describe(found)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(facts); err != nil {
		fail(err)
	}
}

func check(path, folder string, names []string) *types.Package {
	var parsed []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(files, filepath.Join(folder, name), nil, parser.SkipObjectResolution)
		if err != nil {
			fail(err)
		}
		parsed = append(parsed, file)
	}
	config := types.Config{Importer: importer{}, Sizes: sizes, IgnoreFuncBodies: true, FakeImportC: true}
	found, err := config.Check(path, files, parsed, nil)
	if err != nil {
		fail(err)
	}
	packages[path] = found
	return found
}

func describe(found *types.Package) packageFacts {
	facts := packageFacts{map[string]constantFact{}, map[string]structFact{}, map[string]funcFact{}}
	for _, name := range found.Scope().Names() {
		switch object := found.Scope().Lookup(name).(type) {
		case *types.Const:
			facts.Constants[name] = constantFact{value(object.Val()), fileOf(object)}
		case *types.Func:
			facts.Functions[name] = funcFact{fileOf(object), parameters(object)}
		case *types.TypeName:
			named, ok := object.Type().(*types.Named)
			if !ok || object.IsAlias() || named.TypeParams().Len() > 0 {
				continue
			}
			for i := 0; i < named.NumMethods(); i++ {
				method := named.Method(i)
				receiver := name
				if _, ok := method.Type().(*types.Signature).Recv().Type().(*types.Pointer); ok {
					receiver = "(*" + name + ")"
				}
				facts.Functions[receiver+"."+method.Name()] = funcFact{fileOf(method), parameters(method)}
			}
			if _, ok := named.Underlying().(*types.Struct); ok {
				fields := map[string][2]int64{}
				flatten(fields, "", named, 0, depth)
				facts.Structs[name] = structFact{fileOf(object), sizes.Sizeof(named), fields}
			}
		}
	}
	return facts
}

func flatten(fields map[string][2]int64, prefix string, typ types.Type, offset int64, depth int) {
	if depth == 0 {
		return
	}
	switch typ := typ.Underlying().(type) {
	case *types.Struct:
		var list []*types.Var
		for i := 0; i < typ.NumFields(); i++ {
			list = append(list, typ.Field(i))
		}
		for i, at := range sizes.Offsetsof(list) {
			name := prefix + list[i].Name()
			fields[name] = [2]int64{offset + at, sizes.Sizeof(list[i].Type())}
			flatten(fields, name+".", list[i].Type(), offset+at, depth-1)
		}
	case *types.Slice:
		fields[prefix+"data"] = [2]int64{offset, 8}
		fields[prefix+"len"] = [2]int64{offset + 8, 8}
		fields[prefix+"cap"] = [2]int64{offset + 16, 8}
	}
}

// The types of a function's parameters, a method's receiver first, without packages.
func parameters(function *types.Func) []string {
	signature := function.Type().(*types.Signature)
	short := func(*types.Package) string { return "" }
	list := []string{}
	if receiver := signature.Recv(); receiver != nil {
		list = append(list, types.TypeString(receiver.Type(), short))
	}
	for i := 0; i < signature.Params().Len(); i++ {
		list = append(list, types.TypeString(signature.Params().At(i).Type(), short))
	}
	return list
}

func value(value constant.Value) string {
	if value.Kind() == constant.String {
		return constant.StringVal(value)
	}
	return value.ExactString()
}

func fileOf(object types.Object) string {
	return filepath.Base(files.Position(object.Pos()).Filename)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "facts:", err)
	os.Exit(1)
}
