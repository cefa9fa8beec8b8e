// Renders a template as Levant and Nomad Pack do: Go's own text/template, with [[ ]] for delimiters.
//
// It reads {"style", "files", "values"} as JSON, and writes what the first of the files renders to. In the style "levant" the values are the
// data; in the style "pack" they are what the function `var` reads, by a path with dots.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/template"
)

type request struct {
	Style  string
	Files  []string
	Values map[string]any
}

func main() {
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	var asked request
	check(decoder.Decode(&asked))
	functions := template.FuncMap{}
	if asked.Style == "pack" {
		functions = packFunctions(asked.Values)
	}
	whole := template.New("0").Delims("[[", "]]").Option("missingkey=error").Funcs(functions)
	for number, text := range asked.Files {
		part := whole
		if number > 0 {
			part = whole.New(strconv.Itoa(number))
		}
		template.Must(part.Parse(text))
	}
	check(whole.Execute(os.Stdout, asked.Values))
}

func packFunctions(values map[string]any) template.FuncMap {
	return template.FuncMap{
		"var": func(path string, _ any) (any, error) {
			var found any = values
			for _, name := range strings.Split(path, ".") {
				inner, isMap := found.(map[string]any)
				if !isMap || inner[name] == nil {
					return nil, fmt.Errorf("there is no variable %s", path)
				}
				found = inner[name]
			}
			return found, nil
		},
		"quote": func(value any) string { return strconv.Quote(fmt.Sprint(value)) },
		"toJson": func(value any) (string, error) {
			text, err := json.Marshal(value)
			return string(text), err
		},
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
