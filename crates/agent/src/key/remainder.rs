//! What an RSA key of OpenSSH lacks: the exponents modulo the primes less one.

/// The remainder of a division of large numbers, most significant byte first.
///
/// Bit by bit: it runs twice for a key, so that its speed does not matter, and inside the builder alone, whose
/// time nobody measures who may not read the key.
pub(super) fn remainder(dividend: &[u8], divisor: &[u8]) -> Vec<u8> {
    // One byte more than the divisor holds twice any remainder.
    let width = divisor.len() + 1;
    let mut divisor_wide = vec![0; width];
    divisor_wide[1..].copy_from_slice(divisor);
    let mut rest = vec![0u8; width];
    for byte in dividend {
        for bit in (0..8).rev() {
            let mut carry = byte >> bit & 1;
            for digit in rest.iter_mut().rev() {
                let next = *digit >> 7;
                *digit = *digit << 1 | carry;
                carry = next;
            }
            if rest >= divisor_wide {
                subtract(&mut rest, &divisor_wide);
            }
        }
    }
    let zeros = rest.iter().take_while(|digit| **digit == 0).count();
    rest.split_off(zeros)
}

fn subtract(from: &mut [u8], what: &[u8]) {
    let mut borrow = false;
    for (digit, other) in from.iter_mut().zip(what).rev() {
        let (difference, first) = digit.overflowing_sub(*other);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        *digit = difference;
        borrow = first || second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_are_those_of_small_numbers() {
        let shortest = |number: u128| {
            let bytes = number.to_be_bytes();
            bytes[bytes.iter().take_while(|byte| **byte == 0).count()..].to_vec()
        };
        for (dividend, divisor) in [
            (0, 1),
            (1, 1),
            (255, 256),
            (65_537, 255),
            (u128::MAX, 0xffff_ffff_ffff_fffe),
            (0x8000_0000_0000_0000_0000_0000_0000_0001, 0xff01),
            (12_345_678_901_234_567_890_123, 987_654_321_987),
        ] {
            let found = remainder(&shortest(dividend), &shortest(divisor));
            assert_eq!(found, shortest(dividend % divisor), "{dividend} % {divisor}");
        }
    }
}
