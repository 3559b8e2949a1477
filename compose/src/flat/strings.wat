  ;; From {S}'s memory to {D}'s. Short ranges are copied by a loop: memory.copy begins with a call.
  (func ${W}_copy (param $to i32) (param $from i32) (param $size i32)
    (if (i32.gt_u (local.get $size) (i32.const 256))
      (then (memory.copy ${D} ${S} (local.get $to) (local.get $from) (local.get $size)) (return)))
    (block $done
      (loop $more
        (br_if $done (i32.lt_u (local.get $size) (i32.const 8)))
        (i64.store ${D} align=1 (local.get $to) (i64.load ${S} align=1 (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $size (i32.sub (local.get $size) (i32.const 8)))
        (br $more)))
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $size)))
        (i32.store8 ${D} (local.get $to) (i32.load8_u ${S} (local.get $from)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $more))))

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
          (local.set $bytes (i64.load ${S} align=1 (i32.add (local.get $from) (local.get $done))))
          (br_if $other (i64.ne (i64.and (local.get $bytes) (i64.const 0x8080808080808080)) (i64.const 0)))
          (i64.store ${D} align=1 (i32.add (local.get $to) (local.get $done)) (local.get $bytes))
          (local.set $done (i32.add (local.get $done) (i32.const 8)))
          (br $more)))
      (loop $more
        (if (i32.eq (local.get $done) (local.get $size)) (then (return (local.get $to))))
        (local.set $bytes (i64.load8_u ${S} (i32.add (local.get $from) (local.get $done))))
        (br_if $other (i64.ge_u (local.get $bytes) (i64.const 0x80)))
        (i64.store8 ${D} (i32.add (local.get $to) (local.get $done)) (local.get $bytes))
        (local.set $done (i32.add (local.get $done) (i32.const 1)))
        (br $more)))
    (local.set $from (i32.add (local.get $from) (local.get $done)))
    (local.set $size (i32.sub (local.get $size) (local.get $done)))
    (call ${S}_utf8 (local.get $from) (local.get $size))
    (call ${W}_copy (i32.add (local.get $to) (local.get $done)) (local.get $from) (local.get $size))
    (local.get $to))

  ;; Checks that a range of {S}'s memory, which is in bounds, is UTF-8: table 3-7 of the Unicode standard.
  (func ${S}_utf8 (param $at i32) (param $size i32)
    (local $byte i32) (local $more i32) (local $least i32) (local $most i32)
    (loop $next
      (if (i32.eqz (local.get $size)) (then (return)))
      (local.set $byte (i32.load8_u ${S} (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $size (i32.sub (local.get $size) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $byte) (i32.const 0x80)))
      (if (i32.or (i32.lt_u (local.get $byte) (i32.const 0xc2)) (i32.gt_u (local.get $byte) (i32.const 0xf4)))
        (then (call $not_utf8)))
      (local.set $more
        (i32.add
          (i32.const 1)
          (i32.add
            (i32.ge_u (local.get $byte) (i32.const 0xe0))
            (i32.ge_u (local.get $byte) (i32.const 0xf0)))))
      (if (i32.lt_u (local.get $size) (local.get $more)) (then (call $not_utf8)))
      ;; What the second byte may be: neither too long a form, nor a surrogate, nor beyond the last character.
      (local.set $least (i32.const 0x80))
      (local.set $most (i32.const 0xbf))
      (if (i32.eq (local.get $byte) (i32.const 0xe0)) (then (local.set $least (i32.const 0xa0))))
      (if (i32.eq (local.get $byte) (i32.const 0xed)) (then (local.set $most (i32.const 0x9f))))
      (if (i32.eq (local.get $byte) (i32.const 0xf0)) (then (local.set $least (i32.const 0x90))))
      (if (i32.eq (local.get $byte) (i32.const 0xf4)) (then (local.set $most (i32.const 0x8f))))
      (local.set $size (i32.sub (local.get $size) (local.get $more)))
      (loop $continuation
        (local.set $byte (i32.load8_u ${S} (local.get $at)))
        (if (i32.or
              (i32.lt_u (local.get $byte) (local.get $least))
              (i32.gt_u (local.get $byte) (local.get $most)))
          (then (call $not_utf8)))
        (local.set $least (i32.const 0x80))
        (local.set $most (i32.const 0xbf))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $more (i32.sub (local.get $more) (i32.const 1)))
        (br_if $continuation (local.get $more)))
      (br $next)))
