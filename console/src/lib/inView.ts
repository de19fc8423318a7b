// SPDX-License-Identifier: Apache-2.0 OR MIT

/** Where a row of links is wider than the screen, the one that is current is in sight. */
export function inView(isCurrent: boolean): (link: HTMLElement) => void {
  return (link) => {
    if (isCurrent) link.scrollIntoView({ block: "nearest", inline: "center" });
  };
}
