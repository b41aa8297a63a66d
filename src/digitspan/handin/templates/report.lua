-- From a notebook, as pandoc reads it, to Typst: mathematics, figures with captions, code, output.
-- What would come out wrong without a word is refused: the sentence stands between two marks.

local function refuse(sentence)
  error("REFUSED<" .. sentence .. ">REFUSED", 0)
end

local function shortened(text)
  text = text:gsub("%s+", " ")
  return #text > 80 and text:sub(1, 80) .. " ..." or text
end

-- A text as a Typst string.
local function quoted(text)
  text = text:gsub("\27%[[%d;]*m", "")
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\t", "\\t"):gsub("\n", "\\n") .. '"'
end

-- Bars of a norm that grow with what is between them: \lVert x \rVert, \|x\| and \Vert x \Vert.
local function with_tall_bars(tex)
  tex = tex:gsub("\\left%s*\\[lr]?Vert%f[%A]", "\\left\\|"):gsub("\\right%s*\\[lr]?Vert%f[%A]", "\\right\\|")
  tex = tex:gsub("\\left%s*\\|", "\1"):gsub("\\right%s*\\|", "\2")
  tex = tex:gsub("\\lVert%f[%A]", "\1"):gsub("\\rVert%f[%A]", "\2")
  tex = tex:gsub("\\Vert%f[%A]", "\\|")
  local _, plain = tex:gsub("\\|", "")
  local count = 0
  tex = tex:gsub("\\|", function()
    count = count + 1
    return plain % 2 == 1 and "\\Vert " or count % 2 == 1 and "\1" or "\2"
  end)
  return (tex:gsub("\1", "\\left\\Vert "):gsub("\2", "\\right\\Vert "))
end

-- {x^a}^b as x^{a b}: Typst reads two exponents in a row as an exponent of the exponent.
local function with_one_exponent(tex)
  return (tex:gsub("(%b{})%s*%^%s*(%b{})", function(base, outer)
    local inside = base:sub(2, -2)
    local start, inner = inside:match("^(.-)%^%s*(%b{})%s*$")
    if not start then start, inner = inside:match("^(.-)%^%s*(%w)%s*$") end
    if not start then return nil end
    return start .. "^{" .. inner:gsub("^{(.*)}$", "%1") .. " " .. outer:sub(2, -2) .. "}"
  end))
end

-- TeX that pandoc turns into something else than was meant, or drops.
local function tidy(tex)
  if tex:find("\\hline") or tex:find("\\begin{array}%s*{[^}]*|") then
    refuse("lines in an array vanish on the way to the PDF; leave them out of $" .. shortened(tex) .. "$")
  end
  tex = tex:gsub("\\!", "")
  tex = with_one_exponent(with_tall_bars(tex))
  tex = tex:gsub("\\begin{align%*?}", "\\begin{aligned}"):gsub("\\end{align%*?}", "\\end{aligned}")
  tex = tex:gsub("\\begin{equation%*?}", ""):gsub("\\end{equation%*?}", "")
  return tex
end

-- One formula through pandoc's own writer; Typst 0.15 knows dot.o, pandoc 3.9 writes dot.circle.
local function to_typst(kind, tex)
  local document = pandoc.Pandoc({ pandoc.Para({ pandoc.Math(kind, tex) }) })
  local typst = pandoc.write(document, "typst"):gsub("%s+$", "")
  -- What pandoc cannot convert it writes as the TeX it was, between escaped dollars.
  if typst:match("^\\%$") or not typst:match("^%$") then
    refuse("this formula uses a command that cannot be typeset: $" .. shortened(tex) .. "$")
  end
  return (typst:gsub("%.circle", ".o"))
end

-- Display mathematics; its \tag becomes a real equation number, several tags a last column.
local function display(tex)
  tex = tidy(tex)
  local _, tags = tex:gsub("\\tag%s*{", "")
  if tags == 1 then
    local tag = tex:match("\\tag%s*(%b{})"):sub(2, -2)
    tex = tex:gsub("\\tag%s*%b{}", "")
    local numbered = "#math.equation(block: true, numbering: _ => [(" .. tag .. ")], "
    return pandoc.RawInline("typst", numbered .. to_typst("DisplayMath", tex) .. ")")
  end
  tex = tex:gsub("\\tag%s*{(.-)}", "&&\\qquad\\text{(%1)}")
  return pandoc.RawInline("typst", to_typst("DisplayMath", tex))
end

-- TeX that stands by itself; anything else in another language would vanish.
local function raw_display(raw)
  if raw.format:match("tex") and raw.text:match("^%s*\\begin") then return display(raw.text) end
  refuse(raw.format .. " would vanish from the PDF: " .. shortened(raw.text))
end

-- A listing; of blank lines in a row one is left.
local function listing_of(code)
  local language = code.classes[1] and ", lang: " .. quoted(code.classes[1]) or ""
  local text = code.text:gsub("\n\n\n+", "\n\n")
  return pandoc.RawBlock("typst", "#raw(" .. quoted(text) .. ", block: true" .. language .. ")")
end

local words = {
  Math = function(math)
    if math.mathtype == "DisplayMath" then return display(math.text) end
    return pandoc.RawInline("typst", to_typst("InlineMath", tidy(math.text)))
  end,
  RawInline = raw_display,
  RawBlock = function(raw) return pandoc.Para({ raw_display(raw) }) end,
  Header = function(header)
    if header.level == 2 and pandoc.utils.stringify(header):match("^Appendix") then
      return { pandoc.RawBlock("typst", "#show: appendix"), header }
    end
  end,
  CodeBlock = listing_of,
  -- What stands in the place of an answer becomes a frame with room in it.
  BlockQuote = function(quote)
    if not pandoc.utils.stringify(quote.content[1]):match("^Your answer to Question") then return nil end
    local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#answer-frame[") })
    blocks:extend(quote.content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
    return blocks
  end,
}

-- Display equations in a row are kept on one page.
local function is_display(block)
  return block.t == "Para" and #block.content == 1 and block.content[1].t == "Math"
    and block.content[1].mathtype == "DisplayMath"
end

local function with_equations_together(blocks)
  local kept, row = pandoc.List(), pandoc.List()
  local function close()
    if #row > 1 then
      kept:insert(pandoc.RawBlock("typst", "#block(breakable: false)["))
      kept:extend(row)
      kept:insert(pandoc.RawBlock("typst", "]"))
    else
      kept:extend(row)
    end
    row = pandoc.List()
  end
  for _, block in ipairs(blocks) do
    local done = pandoc.Blocks({ block }):walk(words)
    if is_display(block) then
      row:extend(done)
    else
      close()
      kept:extend(done)
    end
  end
  close()
  return kept
end

-- The code of cells that draw, and of those that say "#| code: appendix", stands at the end.
local moved = pandoc.List()

-- A code cell: its "#| fig-cap:" line becomes the caption of the picture that it draws.
local function code_cell(cell)
  local caption, later, blocks = nil, false, pandoc.List()
  for _, block in ipairs(cell.content) do
    if block.t == "CodeBlock" then
      local shown = block.text:gsub("#|%s*fig%-cap:%s*\"(.-)\"%s*\n", function(found)
        caption = found
        return ""
      end)
      local count
      shown, count = shown:gsub("^#|%s*code:%s*appendix%s*\n", "")
      later = caption ~= nil or count > 0
      local listing = listing_of(pandoc.CodeBlock(shown, block.attr))
      if later then moved:insert(listing) else blocks:insert(listing) end
    elseif block.t == "Div" and block.classes:includes("output") then
      local picture
      block:walk({ Image = function(image) picture = image end })
      if picture then
        if not caption then refuse("a cell draws a figure and has no line #| fig-cap: with its caption") end
        local long = pandoc.read(caption, "markdown-smart").blocks:walk(words)
        blocks:insert(pandoc.Figure({ pandoc.Plain({ picture }) }, { long = long }))
      else
        block:walk({ CodeBlock = function(code)
          blocks:insert(pandoc.RawBlock("typst", "#printed(" .. quoted(code.text:gsub("\n+$", "")) .. ")"))
        end })
      end
    end
  end
  return blocks
end

function Div(div)
  if not div.classes:includes("cell") then return nil end
  if div.classes:includes("code") then return code_cell(div), false end
  return with_equations_together(div.content), false
end

-- What was moved follows the last cell, which is the appendix.
local function with_moved(document)
  if #moved == 0 then return nil end
  document.blocks:insert(pandoc.Para({ pandoc.Strong({ pandoc.Str("The notebook's other code") }) }))
  document.blocks:extend(moved)
  return document
end

return { { traverse = "topdown", Div = Div }, { Pandoc = with_moved } }
