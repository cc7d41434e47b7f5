/* Decodes a window of a JPEG and nothing else, by libjpeg-turbo's own API. */
#include <stdio.h>
#include <jpeglib.h>

/* Fast integer cosines and smooth chroma, as TensorFlow asks for. The pixels
 * begin at the multiple of a block that lies left of the window. */
void decode_window(const unsigned char *bytes, unsigned long size, int top,
                   int left, int height, int width, unsigned char *pixels) {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  JDIMENSION begin = left, columns = width;
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, size);
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  info.dct_method = JDCT_IFAST;
  jpeg_start_decompress(&info);
  if (columns < info.output_width) jpeg_crop_scanline(&info, &begin, &columns);
  if (top > 0) jpeg_skip_scanlines(&info, top);
  for (int row = 0; row < height;) {
    JSAMPROW line = pixels + (size_t)row * columns * 3;
    row += jpeg_read_scanlines(&info, &line, 1);
  }
  jpeg_abort_decompress(&info);
  jpeg_destroy_decompress(&info);
}
