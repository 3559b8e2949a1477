  ;; Checks a range of {M}'s memory, and that it begins at a multiple of the alignment, whose bits below are the mask.
  (func ${M}_range (param $at i32) (param $size i32) (param $mask i32)
    (if (i32.and (local.get $at) (local.get $mask)) (then (call $not_aligned)))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $size)))
          (i64.shl (i64.extend_i32_u (memory.size ${M})) (i64.const 16)))
      (then (call $out_of_bounds))))

  ;; Checks that a range of {M}'s memory, which is in bounds, is UTF-8: table 3-7 of the Unicode standard.
  (func ${M}_utf8 (param $at i32) (param $size i32)
    (local $byte i32) (local $more i32) (local $least i32) (local $most i32)
    (loop $next
      (if (i32.eqz (local.get $size)) (then (return)))
      (local.set $byte (i32.load8_u ${M} (local.get $at)))
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
        (local.set $byte (i32.load8_u ${M} (local.get $at)))
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
