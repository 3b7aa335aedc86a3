// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Copies a text. Off HTTPS a browser has no clipboard for pages, so the old way is
// tried next; when that fails too the text stands selected, for Ctrl+C.

export async function copyText(text: string, field: HTMLInputElement | HTMLTextAreaElement | undefined): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    field?.focus();
    field?.select();
    return typeof document.execCommand === 'function' && document.execCommand('copy');
  }
}
