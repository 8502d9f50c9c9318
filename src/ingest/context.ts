// A resource or a scope being put together: its JSON text, made once however many records share it,
// and what it adds to the `otel` and `cut` of each of them.

import {
  ATTRIBUTE_BYTES_MAX,
  ATTRIBUTE_KEY_BYTES_MAX,
  ATTRIBUTES_MAX,
  RESOURCE_BYTES_MAX,
} from '../limits.ts'
import { bytesOver, cutText, utf8Bytes } from './cut.ts'
import { cutValue, jsonOf, objectText, type Value, valueBytes } from './value.ts'

export class Context {
  /** JSON text of an object. */
  text = '{}'
  /** The members it adds to `otel`: JSON, each with a comma behind it. */
  otel = ''
  isCut = false
  /** UTF-8 bytes of all its attributes as sent. */
  sentBytes = 0
  readonly #attributes = new Map<string, string>()
  #bytes = 0

  /** Adds an attribute; of two with one name the last stays. The value may be cut in place. */
  add(sentName: string, value: Value): void {
    const keyOver = bytesOver(sentName, ATTRIBUTE_KEY_BYTES_MAX)
    const name = keyOver > 0 ? cutText(sentName, ATTRIBUTE_KEY_BYTES_MAX) : sentName
    this.sentBytes += (keyOver > 0 ? keyOver : utf8Bytes(name)) + valueBytes(value)
    if (cutValue(value) > 0 || keyOver > 0) this.isCut = true
    const text = jsonOf(value)
    const bytes = name.length + utf8Bytes(text) + 4
    if (this.#attributes.size >= ATTRIBUTES_MAX || this.#bytes + bytes > RESOURCE_BYTES_MAX) {
      this.isCut = true
      return
    }
    this.#bytes += bytes
    this.#attributes.set(name, text)
  }

  /** To be called when all attributes are in. The same for a scope below. */
  endResource(droppedAttributes: number, schemaUrl: string): void {
    this.text = objectText(this.#attributes)
    this.otel =
      (droppedAttributes > 0 ? `"resource_dropped_attributes_count":${droppedAttributes},` : '') +
      (schemaUrl === '' ? '' : `"resource_schema_url":${this.#json(schemaUrl)},`)
  }

  endScope(name: string, version: string, droppedAttributes: number, schemaUrl: string): void {
    const attributes = objectText(this.#attributes)
    const url = schemaUrl === '' ? '' : this.#json(schemaUrl)
    const members = [
      name === '' ? '' : `"name":${this.#json(name)}`,
      version === '' ? '' : `"version":${this.#json(version)}`,
      attributes === '{}' ? '' : `"attributes":${attributes}`,
      url === '' ? '' : `"schema_url":${url}`,
    ]
    this.text = `{${members.filter((member) => member !== '').join()}}`
    this.otel =
      (droppedAttributes > 0 ? `"scope_dropped_attributes_count":${droppedAttributes},` : '') +
      (url === '' ? '' : `"scope_schema_url":${url},`)
  }

  /** A name or URL as JSON, cut like an attribute. */
  #json(text: string): string {
    const over = bytesOver(text, ATTRIBUTE_BYTES_MAX)
    if (over === 0) return JSON.stringify(text)
    this.isCut = true
    this.sentBytes += over
    return JSON.stringify(cutText(text, ATTRIBUTE_BYTES_MAX))
  }
}
