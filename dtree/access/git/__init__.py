"""Git repositories, read without a checkout: through GitPython's command runner, which `program` alone imports."""
