job:
  id: bad
  group:
    - name: g
