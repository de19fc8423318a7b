// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The behaviour of the keyring, as its callers see it.
