package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/**
 * Tells what a photograph is: reads the markers of a JPEG, with nothing but the Java runtime. (javax.imageio would do too, but
 * is not part of the headless Javas that servers have.) The event is {"image": base64 of a JPEG}.
 */
public class Thumbnail implements RequestHandler<Thumbnail.Event, Thumbnail.Photo> {
    public static class Event {
        private byte[] image;

        public byte[] getImage() {
            return image;
        }

        public void setImage(String base64) {
            image = Base64.getDecoder().decode(base64);
        }
    }

    public static class Photo {
        public String format = "JPEG";
        public int width;
        public int height;
        public int bytes;
        public String color;
        public int bits;
        public String process;
        public int[] density;
        public List<String> comments = new ArrayList<>();
    }

    @Override
    public Photo handleRequest(Event event, Context context) {
        byte[] data = event.getImage();
        if (data == null || data.length < 2 || at(data, 0) != 0xffd8) {
            throw new IllegalArgumentException("not a JPEG");
        }
        Photo photo = new Photo();
        photo.bytes = data.length;
        int at = 2;
        while (at + 4 <= data.length) {
            int marker = at(data, at);
            if (marker == 0xffff) { // a fill byte
                at++;
                continue;
            }
            int length = at(data, at + 2);
            if (marker < 0xff00 || length < 2 || marker == 0xffda || at + 2 + length > data.length) {
                break;
            }
            if (read(photo, data, at + 4, marker, length - 2)) {
                context.getLogger().log(photo.width + " x " + photo.height + " photograph, " + data.length + " bytes\n");
                return photo;
            }
            at += 2 + length;
        }
        throw new IllegalArgumentException("not a JPEG: no frame");
    }

    /** Reads one segment. True if it was the frame, which comes last of what is of interest. */
    private static boolean read(Photo photo, byte[] data, int at, int marker, int length) {
        if (marker == 0xfffe) {
            photo.comments.add(new String(data, at, length, java.nio.charset.StandardCharsets.UTF_8));
        } else if (marker == 0xffe0 && length >= 12 && new String(data, at, 4, java.nio.charset.StandardCharsets.US_ASCII).equals("JFIF")) {
            photo.density = new int[] {at(data, at + 8), at(data, at + 10)};
        } else if (marker >= 0xffc0 && marker <= 0xffc3 && length >= 6) {
            photo.bits = data[at] & 0xff;
            photo.height = at(data, at + 1);
            photo.width = at(data, at + 3);
            int components = data[at + 5];
            photo.color = components == 1 ? "gray" : components == 3 ? "YCbCr" : components == 4 ? "CMYK" : "" + components;
            photo.process = new String[] {"baseline", "extended", "progressive", "lossless"}[marker - 0xffc0];
            return true;
        }
        return false;
    }

    private static int at(byte[] data, int i) {
        return (data[i] & 0xff) << 8 | data[i + 1] & 0xff;
    }
}
