// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a server, a stranger's device or a QR code says while a device is paired: nothing panics, a link has one form,
//! and no bytes are an approval.
#![no_main]

use keyring::SystemRng;
use keyring::pairing::{Judgement, PairingApproval, PairingDevice, PairingForm, PairingLink, PairingRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [step, bytes @ ..] = input else { return };
    let rng = &mut SystemRng;
    if step % 4 == 0 {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Ok(link) = PairingLink::parse(text) {
            let again = PairingLink::parse(&link.to_text()).expect("what was written can be read");
            assert!(again == link);
        }
        return;
    }
    let Ok(mut device) = PairingDevice::start(PairingForm::Device, "fuzz", "fuzz", rng) else { return };
    let link = PairingLink::new("https://localhost", device.request());
    let Ok(mut approval) = PairingApproval::open(&link, device.request().clone()) else { return };
    let code = approval.authorize(None, rng).expect("a code");
    let offer = approval.offer(rng).expect("an offer");
    match step % 4 {
        1 => {
            let key = PairingRequest::from_parts(*link.request(), PairingForm::Device, "fuzz", "fuzz", bytes);
            if let Ok(request) = key {
                assert!(
                    PairingApproval::open(&link, request).is_err(),
                    "another key has another fingerprint"
                );
            }
            let _ = device.answer(bytes, &code, rng);
        }
        2 => {
            if let Ok(Judgement::Right(_)) = approval.judge(bytes) {
                panic!("nobody typed the code");
            }
        }
        _ => {
            let _ = device.answer(&offer, &code, rng);
            assert!(device.finish(bytes).is_err(), "nobody approved");
        }
    }
});
