// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Client libraries that know nothing of Bailiwick.
