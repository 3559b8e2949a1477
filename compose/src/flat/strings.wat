  ;; A new range of {D}'s memory.
  (func ${D}_new (param $size i32) (param $mask i32) (result i32)
    (local $at i32)
    (local.set $at
      (call ${D}_realloc
        (i32.const 0) (i32.const 0) (i32.add (local.get $mask) (i32.const 1)) (local.get $size)))
    (call ${D}_range (local.get $at) (local.get $size) (local.get $mask))
    (local.get $at))

  (func ${W}_bytes (param $from i32) (param $size i32) (result i32)
    (local $to i32)
    (call ${S}_range (local.get $from) (local.get $size) (i32.const 0))
    (local.set $to (call ${D}_new (local.get $size) (i32.const 0)))
    (call ${W}_copy (local.get $to) (local.get $from) (local.get $size))
    (local.get $to))

  ;; A string is checked while it is copied, as long as it is ASCII.
  (func ${W}_string (param $from i32) (param $size i32) (result i32)
    (local $to i32) (local $done i32) (local $bytes i64)
    (if (i32.lt_s (local.get $size) (i32.const 0)) (then (call $out_of_bounds)))
    (call ${S}_range (local.get $from) (local.get $size) (i32.const 0))
    (local.set $to (call ${D}_new (local.get $size) (i32.const 0)))
    (block $other
      (block $last
        (loop $more
          (br_if $last (i32.lt_u (i32.sub (local.get $size) (local.get $done)) (i32.const 8)))
          (local.set $bytes ({S i64.load} (i32.add (local.get $from) (local.get $done))))
          (br_if $other (i64.ne (i64.and (local.get $bytes) (i64.const 0x8080808080808080)) (i64.const 0)))
          ({D i64.store} (i32.add (local.get $to) (local.get $done)) (local.get $bytes))
          (local.set $done (i32.add (local.get $done) (i32.const 8)))
          (br $more)))
      (loop $more
        (if (i32.eq (local.get $done) (local.get $size)) (then (return (local.get $to))))
        (local.set $bytes ({S i64.load8_u} (i32.add (local.get $from) (local.get $done))))
        (br_if $other (i64.ge_u (local.get $bytes) (i64.const 0x80)))
        ({D i64.store8} (i32.add (local.get $to) (local.get $done)) (local.get $bytes))
        (local.set $done (i32.add (local.get $done) (i32.const 1)))
        (br $more)))
    (local.set $from (i32.add (local.get $from) (local.get $done)))
    (local.set $size (i32.sub (local.get $size) (local.get $done)))
    (call ${S}_utf8 (local.get $from) (local.get $size))
    (call ${W}_copy (i32.add (local.get $to) (local.get $done)) (local.get $from) (local.get $size))
    (local.get $to))
