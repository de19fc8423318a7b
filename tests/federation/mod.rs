// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Coming in by other identity providers, as their people, their administrators and thieves see it.

mod attacks;
mod browser;
mod confined;
mod domains;
mod house;
mod liar;
mod provisioning;
mod provisioning_bounds;
mod silent_provider;
mod standard_provider;
mod zone;
