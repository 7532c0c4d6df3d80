import DOMPurify from "dompurify";
import { Marked } from "marked";

/** Longer texts, and longer lines, are shown as they are: reading them as Markdown would take seconds. */
const [longestText, longestLine] = [60_000, 8_000];

/** Everything that a model may lay its text out with. No pictures, no HTML of its own, no styles. */
const allowed = {
  ALLOWED_TAGS: [
    ...["p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a"],
    ...["h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
  ],
  ALLOWED_ATTR: ["href", "start"],
  ALLOWED_URI_REGEXP: /^https?:\/\//i,
  RETURN_DOM_FRAGMENT: true,
} as const;

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ text, href }) => escaped(text || href),
    heading({ tokens, depth }) {
      const level = Math.min(depth + 2, 6); // below the headings of the page
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

/**
 * A text of a model as elements. It is hostile: HTML in it is shown as text, pictures are their descriptions, links lead to web
 * pages only and tell them nothing. Null where it is too long to be read as Markdown.
 */
export function markdown(text: string): DocumentFragment | null {
  if (text.length > longestText || text.split("\n").some((line) => line.length > longestLine)) return null;
  const html = marked.parse(text, { async: false });
  const fragment = DOMPurify.sanitize(html, {
    ...allowed,
    ALLOWED_TAGS: [...allowed.ALLOWED_TAGS],
    ALLOWED_ATTR: [...allowed.ALLOWED_ATTR],
  });
  for (const link of fragment.querySelectorAll("a")) {
    if (!link.hasAttribute("href")) {
      link.replaceWith(...link.childNodes);
      continue;
    }
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
    link.title = link.href;
  }
  for (const block of fragment.querySelectorAll<HTMLElement>("p, li, h3, h4, h5, h6, td, th, blockquote"))
    block.dir = "auto";
  for (const block of fragment.querySelectorAll<HTMLElement>("pre")) block.tabIndex = 0; // it scrolls
  return fragment;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
