# HCL's own language: functions, conditions, loops, splats and string templates.
job "corpus-functions" {
  datacenters = ["nowhere"]
  meta {
    upper     = upper("abc")
    joined    = join(",", sort(["c", "a", "b"]))
    formatted = format("%s-%03d", "n", 7)
    loop      = join(" ", [for n in range(3) : "n${n}"])
    map       = jsonencode({ for k, v in { a = 1, b = 2 } : v => k if v > 1 })
    condition = strlen("ab") == 2 ? "two" : "other"
    splat     = join("/", [{ name = "x" }, { name = "y" }][*].name)
    template  = "%{for n in ["a", "b"]}<${n}>%{endfor}"
    decoded   = yamldecode("key: [1, 2]").key[1]
    subnet    = cidrsubnet("10.0.0.0/8", 8, 2)
    digest    = sha256("corpus")
    encoded   = base64encode("corpus")
    named     = uuidv5("dns", "corpus.example")
    replaced  = regex_replace("a1b2", "[0-9]", "-")
    either    = try(tonumber_is_unknown, "fallback")
    merged    = join(",", keys(merge({ b = 1 }, { a = 2 })))
    big       = 9007199254740993
    fraction  = 0.1
  }
  group "g" {
    count = max(1, min(2, 5))
    task "t" {
      driver = "mock_driver"
    }
  }
}
